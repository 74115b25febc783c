"""A folder holds whole episodes of one robot, task and driver, and one process makes them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from recorder.collect.folder import CollectError, Folder, Made
from tests.recorder.collect.conftest import LIFT


def test_two_processes_do_not_make_episodes_in_one_folder(folder: Folder) -> None:
    with pytest.raises(CollectError, match="Something else makes episodes"), Folder(folder.path).held(LIFT):
        pass


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(LIFT, task="stack"),
        msgspec.structs.replace(LIFT, robot="xarm6"),
        msgspec.structs.replace(LIFT, driver=msgspec.structs.replace(LIFT.driver, sha256="6" * 64)),
    ],
)
def test_episodes_of_something_else_do_not_mix_in(tmp_path: Path, other: Made) -> None:
    with Folder(tmp_path).held(LIFT):
        pass
    with pytest.raises(CollectError, match="holds episodes of panda at lift"), Folder(tmp_path).held(other):
        pass


def test_what_is_not_whole_is_removed_by_whoever_goes_on(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.held(LIFT):
        pass
    (folder.making / "lift-panda-1").mkdir(parents=True)
    (folder.making / "lift-panda-2.journal").touch()
    with folder.held(LIFT):
        assert list(folder.making.iterdir()) == []


def test_a_note_that_is_none_of_ours_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.held(LIFT):
        pass
    (tmp_path / ".record" / "made.json").write_text("{")
    with pytest.raises(CollectError, match=r"made\.json is not what armshare has written"), folder.held(LIFT):
        pass


def test_an_episode_of_a_seed_that_is_there_gets_a_name_of_its_own(folder: Folder) -> None:
    assert folder.free_name(LIFT, 5) == "lift-panda-5"
    (folder.path / "lift-panda-5").mkdir()
    assert folder.free_name(LIFT, 5) == "lift-panda-5-2"
    (folder.path / "lift-panda-5-2").mkdir()
    assert folder.free_name(LIFT, 5) == "lift-panda-5-3"


def test_the_longest_names_leave_room_for_any_seed(folder: Folder) -> None:
    name = folder.name_of(Made("r" * 64, "pick_place", LIFT.driver), 2**48 - 1)
    assert len(name) <= 64
    assert name.endswith(str(2**48 - 1))
