"""`armshare score`: what an episode is worth from its file alone, why, and what else may stand in the file's place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from armshare.moments import WIDTH, Told, costs_of, legend, line_of_time, moment_of, noticed
from armshare.operator.drive import Outcome
from armshare.operator.drive import lines as driven
from armshare.operator.handing import Episode
from armshare.operator.unsigned import Decided
from armshare.operator.unsigned import lines as decided
from armshare.researcher import scoring
from recorder.file.meta import Meta
from rewards.score.score import recompute
from rewards.score.verdict import Cost, Score, Segment, SegmentKind
from tests.armshare.command import armshare_here
from tests.recorder.bundles import good_bundle

COST = {"part": "flow", "points": 0.081, "sentence": "You stood still: drive through.", "from_s": 4.0, "until_s": 6.5}
EXPLAINED = Score(
    version="2",
    score_ppm=742_000,
    accepted=True,
    vector={"order": 0.7, "flow": 0.6, "of_a_newer_version": 1.0},
    reasons=("You let the cube go.",),
    costs=(
        Cost("order", 118_000, "You let the cube go.", 8.0, 10.4),
        Cost("control", 40_000, "[red]bold[/red]\x1b[31m words\nin two lines", None, None),
    ),
    shown={"duration_s": 20.0, "recoveries": 1.0, "of_a_newer_version": 0.25},
    segments=(Segment(SegmentKind.IDLE, 2.0, 4.0), Segment(SegmentKind.MISTAKE, 8.0, 10.4)),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_bundle(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def explained(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An episode whose rules, for once, say all that any rules can say."""
    monkeypatch.setattr(scoring, "score", lambda _facts: EXPLAINED)
    return bundle


def test_the_score_is_that_of_the_rules_for_the_folder_and_for_its_file(bundle: Path) -> None:
    done = armshare_here("score", str(bundle), str(bundle / "episode.h5"), "--json")
    found = json.loads(done.stdout)
    scored = recompute(bundle / "episode.h5")

    assert len(found) == 2
    for one in found:
        assert (one["score_ppm"], one["accepted"]) == (scored.score_ppm, scored.accepted)
        assert (one["version"], one["pays"], one["vector"]) == (scored.version, True, dict(scored.vector))
        assert one["reasons"] == list(scored.reasons)
    assert done.returncode == (0 if scored.accepted else 1)


def test_what_is_not_accepted_says_why_and_ends_with_1(tmp_path: Path) -> None:
    bundle = good_bundle(tmp_path, success=False)
    done = armshare_here("score", str(bundle))
    scored = recompute(bundle / "episode.h5")

    assert not scored.accepted
    assert done.returncode == 1
    assert done.stdout.startswith(f"not accepted  {bundle.name}")
    assert all(reason in done.stdout for reason in scored.reasons)
    assert done.stdout.count("█") + done.stdout.count("░") == 24 * len(scored.vector)


def test_other_rules_are_said_not_to_be_those_that_pay(bundle: Path) -> None:
    [found] = json.loads(armshare_here("score", str(bundle), "--rules", "1", "--json").stdout)
    assert (found["version"], found["pays"]) == ("1", False)
    assert "Another version of the rules pays for it" in armshare_here("score", str(bundle), "--rules", "1").stdout


def test_an_episode_of_newer_rules_can_still_be_scored_by_those_that_are_here(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_meta: Meta) -> str:
        raise ValueError("a newer release has them")

    monkeypatch.setattr(scoring, "version_of", unknown)
    with pytest.raises(ValueError, match="a newer release"):
        scoring.report(bundle)
    assert (scoring.report(bundle, "2")["version"], scoring.report(bundle, "2")["pays"]) == ("2", False)


def test_it_explains_each_cost_with_its_moment_the_line_of_time_and_what_is_not_paid(explained: Path) -> None:
    done = armshare_here("score", str(explained), "--explain")
    said = done.stdout.splitlines()

    assert done.returncode == 0
    assert done.stdout.count("You let the cube go.") == 1, "a reason that is a cost is said once"
    at = said.index("  -11.8  0:08 to 0:10  no mistakes")
    assert said[at + 1].strip() == "You let the cube go."
    assert said[at + 2] == "   -4.0  the whole drive  arm could follow"
    [line] = [one for one in said if one.startswith("  0:00 ")]
    assert line.split() == ["0:00", line_of_time(segments(), 20.0), "0:20"]
    assert any("time: 20.0 s; recoveries: 1; of a newer version: 0.25" in one for one in said)


def test_without_explain_it_names_the_one_thing_that_cost_most(explained: Path) -> None:
    said = armshare_here("score", str(explained)).stdout
    assert "cost most: -11.8 of 100, 0:08 to 0:10: You let the cube go." in said
    assert "words" not in said


def test_a_sentence_does_nothing_to_a_terminal(explained: Path) -> None:
    said = armshare_here("score", str(explained), "--explain").stdout
    assert "[red]bold[/red] [31m words in two lines" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("words.txt", b"not an episode", "cannot be scored"),
        ("episode.h5", b"", "cannot be scored"),
    ],
)
def test_what_is_no_episode_is_refused_with_what_to_do(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    done = armshare_here("score", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Name an episode's folder, or its episode.h5." in done.stderr


def test_a_folder_without_an_episode_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    done = armshare_here("score", str(tmp_path))
    assert done.returncode == 2
    assert "an episode is a folder with episode.h5 in it" in done.stderr
    assert armshare_here("score", str(tmp_path / "nothing")).returncode == 2


def test_what_is_not_there_keeps_no_other_from_being_scored(bundle: Path, tmp_path: Path) -> None:
    done = armshare_here("score", str(tmp_path / "nothing"), str(bundle), "--json")
    missing, scored = json.loads(done.stdout)
    assert done.returncode == 2
    assert (missing["unable"], scored["unable"]) == ("FileMissingError", None)
    assert str(tmp_path / "nothing") in missing["message"]


def test_rules_that_know_no_moments_name_those_that_do(bundle: Path) -> None:
    assert "Add --rules 3 to see what cost what" in armshare_here("score", str(bundle), "--explain").stdout
    newest = armshare_here("score", str(bundle), "--explain", "--rules", "3").stdout
    assert "Add --rules" not in newest


def test_a_damaged_episode_is_refused_by_what_is_wrong_with_it(bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "episode.h5"
    shutil.copy(bundle / "episode.h5", broken)
    broken.write_bytes(broken.read_bytes()[:-2000])
    done = armshare_here("score", str(broken))
    assert done.returncode == 2
    assert f"{broken} cannot be scored" in done.stderr


@pytest.mark.parametrize("version", ["99", "two", " ", "[red]1[/red]"])
def test_rules_that_there_are_not_are_refused_with_those_that_there_are(bundle: Path, version: str) -> None:
    done = armshare_here("score", str(bundle), "--rules", version)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no version of the rules that this release has: choose 1" in done.stderr


def segments() -> list[dict[str, Any]]:
    return [{"kind": str(one.kind), "from_s": one.from_s, "until_s": one.until_s} for one in EXPLAINED.segments]


def test_the_line_of_time_has_each_stretch_where_it_was() -> None:
    line = line_of_time(segments(), 20.0)
    assert len(line) == WIDTH
    assert (line.index("i"), line.rindex("i") + 1) == (6, 12)
    assert (line.index("x"), line.rindex("x") + 1) == (24, 32)
    assert [*legend(segments())] == ["x  mistake: 0:08 to 0:10", "i  idle: 0:02 to 0:04"]


def test_a_mistake_hides_what_it_overlaps_and_a_moment_at_the_very_end_is_seen() -> None:
    over = [{"kind": "idle", "from_s": 0.0, "until_s": 10.0}, {"kind": "mistake", "from_s": 10.0, "until_s": 10.0}]
    assert line_of_time(over, 10.0) == "i" * (WIDTH - 1) + "x"
    assert line_of_time([], 10.0) == line_of_time(over, 0.0) == "." * WIDTH


def test_what_nobody_notices_is_not_shown_but_for_mistakes_and_recoveries() -> None:
    short = [{"kind": kind, "from_s": 1.0, "until_s": 1.05} for kind in ("tail", "mistake", "recovery", "idle")]
    assert [one["kind"] for one in noticed(short)] == ["mistake", "recovery"]


@pytest.mark.parametrize(
    ("from_s", "until_s", "said"),
    [(None, None, "the whole drive"), (4.1, 4.9, "at 0:04"), (59.0, 61.0, "0:59 to 1:01"), (4.0, None, "at 0:04")],
)
def test_a_moment_is_said_in_minutes_and_seconds(from_s: float | None, until_s: float | None, said: str) -> None:
    assert moment_of(from_s, until_s) == said


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": 2.0},
        {"points": "0.1"},
        {"points": float("nan")},
        {"points": True},
        {"points": 0.0001},
        {"sentence": ""},
        {"sentence": None},
        {"part": 3},
    ],
)
def test_of_a_hubs_costs_those_that_cannot_be_are_left_out(wrong: dict[str, Any]) -> None:
    assert [one.sentence for one in costs_of({"costs": [{**COST, **wrong}, COST]})] == [COST["sentence"]]


@pytest.mark.parametrize("wrong", [{"from_s": 7.0}, {"until_s": None}, {"from_s": -1.0}, {"until_s": float("inf")}])
def test_of_a_moment_that_cannot_be_only_the_moment_is_left_out(wrong: dict[str, Any]) -> None:
    assert [one.moment for one in costs_of({"costs": [{**COST, **wrong}]})] == ["the whole drive"]


@pytest.mark.parametrize("answer", [{}, {"costs": None}, {"costs": "no"}, {"costs": [None, 3]}])
def test_an_older_hub_tells_no_costs(answer: dict[str, Any]) -> None:
    assert costs_of(answer) == []


def test_a_drive_says_what_cost_most_and_when_right_after_it() -> None:
    costs = costs_of({"costs": [COST, {**COST, "points": 0.118, "sentence": "You let the cube go.", "from_s": 1.0}]})
    episode = Episode("e1", 60, True, 0.8, True, "", 0, "0", False, [], ["You let the cube go."], costs)

    assert [*driven(Outcome("", episodes=[episode]))][1:] == [
        "  cost most: [bold]-11.8[/bold] of 100, 0:01 to 0:06: You let the cube go."
    ]
    assert costs[1] == Told("flow", 0.081, COST["sentence"], 4.0, 6.5)


def test_an_episode_that_is_signed_later_says_it_too() -> None:
    score = {
        "episode": "e1",
        "accepted": False,
        "score": 0.5,
        "reasons": ["Not done.", COST["sentence"]],
        "costs": [COST],
    }
    assert [*decided(Decided("", signed=[score]))][1:] == [
        "  Not done.",
        "  cost most: [bold]-8.1[/bold] of 100, 0:04 to 0:06: You stood still: drive through.",
    ]


def test_one_that_cannot_be_scored_is_named_and_the_others_are_scored(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_bytes(b"not an episode")
    named = [str(bundle), str(tmp_path / "words.txt"), str(tmp_path), str(bundle)]
    done = armshare_here("score", *named)
    assert done.returncode == 2
    assert done.stdout.count(f"  {bundle.name}  ") == 2
    assert f"{tmp_path / 'words.txt'} cannot be scored" in done.stderr
    assert f"There is no episode at {tmp_path}" in done.stderr

    as_json = armshare_here("score", *named, "--json")
    found = json.loads(as_json.stdout)
    assert as_json.returncode == 2
    assert [one["file"] for one in found] == named
    assert [one["unable"] is None for one in found] == [True, False, False, True]
    assert found[2]["unable"] == "FileMissingError"
    assert found[1]["message"] in as_json.stderr


def test_a_file_that_may_not_be_read_is_one_of_these(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(bundle))

    monkeypatch.setattr(scoring, "read", forbidden)
    done = armshare_here("score", str(bundle))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{bundle} cannot be scored: Permission denied." in done.stderr


def test_the_gates_that_refused_it_are_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Score("3", 0, False, {"success": 0.0}, ("It was not done.",), refused=("not_done", "too_short"))
    monkeypatch.setattr(scoring, "score", lambda _facts: refused)
    assert "refused by not_done, too_short" in armshare_here("score", str(bundle)).stdout
    [found] = json.loads(armshare_here("score", str(bundle), "--json").stdout)
    assert found["refused"] == ["not_done", "too_short"]
