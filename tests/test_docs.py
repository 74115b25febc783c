"""What the pages tell people to type exists, and takes the options that they give it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from armshare.cli.app import cli
from teleop.dialing import CA
from tests.certificates import make_certificates
from tests.docs import ROOT, Command, commands, pages
from tests.typed import LATER, NOT_TYPED, QUICK, TUTORIAL, options_of, options_typed, typed_lines

COMMANDS = sorted(set(commands()), key=str)
PLACES = {
    "EPISODE_FOLDER": "folder",
    "EPISODE": "folder",
    "FOLDER": "folder",
    "episodes/*": "folder",
    "lift-expert/*": "folder",
    "imported/*": "folder",
}
FILES = ("hub.json", "arm.json", "LIFT.hdf5", "lift.npz")
OTHER_PROGRAMS = {"curl", "pip", "git", "cd", "rsync", "npm", "npx", "uv", "."}


def of(program: str) -> list[Command]:
    return [one for one in COMMANDS if one.words[0] == program]


def test_the_pages_have_commands():
    assert len(of("armshare")) > 30
    assert len(of("make")) > 8
    assert len(of("python")) > 5


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which what the pages name is there."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "episodes" / "EPISODE").mkdir(parents=True)
    for name in FILES:
        (tmp_path / name).touch()
    make_certificates(tmp_path).authority.rename(tmp_path / "lan-ca.pem")
    monkeypatch.setenv(CA, "")  # so that what `--ca` makes of it is undone
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", of("armshare"), ids=str)
def test_a_command_takes_the_options_that_a_page_gives_it(command: Command, here: Path):
    """It is parsed as it would be before it runs. A command that is only named may lack what it requires."""
    words = [PLACES.get(word, word.replace("URL", "https://hub.example")) for word in command.words[1:]]
    parsed(words, named_only=command.named)


def parsed(words: list[str], *, named_only: bool) -> None:
    command, context, name = get_command(cli), None, "armshare"
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(words), parent=context)
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, list(words), parent=context, resilient_parsing=named_only)


@pytest.mark.parametrize("command", of("make"), ids=str)
def test_make_knows_what_a_page_makes(command: Command):
    target = next(word for word in command.words[1:] if "=" not in word and not word.startswith("-"))
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", of("python"), ids=str)
def test_a_script_is_there_and_knows_its_options(command: Command):
    words = command.words[1:]
    if words[0] == "-m":
        file = ROOT / (words[1].replace(".", "/") + ".py")
        if words[1] == "pytest":
            assert all((ROOT / word).exists() for word in words[2:] if word.startswith("tests/"))
            return
    else:
        file = ROOT / words[0]
    source = file.read_text()
    assert all(f'"{word}"' in source for word in words if word.startswith("--"))


def test_a_command_is_typed_by_a_test_or_the_table_says_why_not():
    """One that is new on a page is typed by a page's test, or joins a list in tests/typed.py, with its reason."""
    quick = {line for page in (*QUICK, TUTORIAL) for line in typed_lines(page, all_of_it=False)}
    known = quick | LATER | NOT_TYPED.keys()
    assert {one.text for one in COMMANDS if not one.named} <= known
    assert not LATER & NOT_TYPED.keys()
    assert LATER | NOT_TYPED.keys() <= {one.text for one in COMMANDS}, "one that no page has any more"
    assert all(NOT_TYPED.values())


def test_a_command_that_a_sentence_names_is_typed_with_those_options_somewhere():
    typed = options_typed() | {tuple(text.split()[:2]) for text in LATER | NOT_TYPED.keys()}
    for one in (one for one in COMMANDS if one.named):
        assert set(options_of(one) if one.words[0] == "armshare" else [tuple(one.words[:2])]) <= typed, str(one)


def test_every_other_program_is_one_that_people_have():
    assert {one.words[0] for one in COMMANDS} <= OTHER_PROGRAMS | {"armshare", "make", "python"}


def anchors(page: Path) -> set[str]:
    """Return what a link can lead to within a page, as GitHub names it."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_to_a_heading_in_it(page: Path):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith(("http:", "https:", "mailto:")):
            path, _, anchor = link.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), link
            assert not anchor or anchor in anchors(there), link
