"""An added robot is found by its name like any other, and a name that is a path is not."""

from __future__ import annotations

import pytest

from sim import own
from sim.bring.add import Wishes, bring
from sim.catalogue import UnknownRobotError, UnknownTaskError, description, make_world, own_pairs, require_pair
from sim.places import DATA
from tests.sim.bring.packages import crane


@pytest.fixture
def added(tmp_path, monkeypatch):
    """The name of a robot that was added to the data folder of this environment."""
    monkeypatch.setenv(DATA, str(tmp_path / "data"))
    folder = own.own_robots() / "crane"
    folder.mkdir(parents=True)
    bring(crane(tmp_path), folder, Wishes())
    return "crane"


def test_it_is_found_described_and_simulated_by_its_name(added):
    assert own.names() == (added,)
    assert description(added).model.urdf_path.is_file()
    assert (added, "lift") in own_pairs()
    world = make_world(added, "lift")
    world.connect()
    assert world.spec.model.name == added
    world.disconnect()


def test_it_is_an_environment_of_gymnasium_too(added):
    from gymnasium.envs.registration import registry

    from sim.registry import register_envs

    register_envs()
    assert registry.pop("armshare/Lift-Crane-v0").kwargs == {"robot": added, "task": "lift"}


def test_a_task_that_it_is_not_offered_for_is_refused(added):
    with pytest.raises(UnknownTaskError, match="crane is not offered for handover"):
        require_pair(added, "handover")
    with pytest.raises(UnknownTaskError, match="There is no task 'juggle'"):
        require_pair(added, "juggle")


def test_one_that_cannot_be_read_hides_no_other(added):
    broken = own.own_robots() / "broken"
    broken.mkdir()
    (broken / own.FILE).write_text("{")
    assert {robot for robot, _ in own_pairs()} == {added}
    with pytest.raises(own.OwnRobotError, match="add the robot again"):
        description("broken")


@pytest.mark.parametrize("name", ["../crane", "/etc", "", ".", "crane/", "CRANE", "nobody", "x\0"])
def test_what_is_no_name_is_looked_for_nowhere(added, name):
    assert own.find(name) is None
    with pytest.raises(UnknownRobotError, match=r"There are panda, .*crane"):
        description(name)
