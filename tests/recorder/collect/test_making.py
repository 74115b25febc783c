"""An episode that a program drives in simulated time is one that any verifier checks, and nothing half made counts."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from recorder.collect.drive import Drive
from recorder.collect.folder import CollectError, Folder
from recorder.collect.making import Maker
from recorder.collect.piloted import piloted
from recorder.file.episode import read_episode
from recorder.proof.bundle import SIGNATURES_JSON
from recorder.proof.case import Trust
from recorder.proof.contribute import OtherCommandsError
from recorder.proof.hubless import NO_HUB, NO_NONCE
from recorder.proof.refusals import GrantInvalid
from recorder.proof.replayed import replayed
from recorder.proof.verify import verify_bundle
from sim.motion.control import Twist
from sim.physics.world import World
from sim.robot import Action, Observation, UnstableWorldError
from teleop.operator.pilot import Answer, Ask, Values, expert
from teleop.wire.messages import Safety, State
from teleop.wire.reasons import EndReason
from tests.recorder.collect.conftest import LIFT
from tests.recorder.factory import DOMAIN

PERIOD_NS = 50_000_000
DOWN = Twist(np.array([[0.0, 0.0, -0.1, 0.0, 0.0, 0.0]]), np.ones(1))
Making = Callable[..., Maker]


class Script:
    """A pilot that gives these answers, the last of them for good."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def act(self, _state: State, _values: Values) -> Answer:
        """Return the next."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def downwards(steps: int) -> Script:
    """Return a pilot that moves for so many steps, and finishes."""
    return Script(*[DOWN] * steps, Ask.FINISH)


def left_in(folder: Folder) -> list[str]:
    """Return what is in a folder besides its keys."""
    return sorted(path.name for path in [*folder.path.iterdir(), *folder.making.iterdir()] if path.name != ".record")


def drive(maker: Maker, pilot: Script, seed: int = 7) -> Drive:
    """Return an episode that was driven."""
    made = maker.begin(f"lift-panda-{seed}", seed)
    assert piloted(made, pilot)
    return made


def test_an_experts_episode_passes_every_gate_that_needs_no_hub_and_is_replayed(maker: Making, folder: Folder) -> None:
    making = maker()
    begun = making.begin("lift-panda-3", 3)
    assert piloted(begun, expert(begun.robot, "lift"))
    attempt = making.keep(begun)
    assert attempt.success
    report = verify_bundle(folder.path / attempt.episode, Trust(NO_HUB, replay=replayed))
    assert {"operator_signature", "robot_signature", "commands", "safety", "motion", "replay"} <= set(report.passed)
    hubs = {"known", "ticket", "nonce", "previous", "spec", "time", "duplicate", "copy", "receipt", "inclusion"}
    assert set(report.skipped) == hubs


def test_no_hub_takes_it_for_an_episode_of_its_own(maker: Making, folder: Folder) -> None:
    making = maker()
    attempt = making.keep(drive(making, downwards(5)))
    with pytest.raises(GrantInvalid):
        verify_bundle(folder.path / attempt.episode, Trust(DOMAIN))


def test_its_clock_is_the_simulations_and_its_date_the_real_one(maker: Making, folder: Folder) -> None:
    making = maker()
    episode = read_episode(folder.path / making.keep(drive(making, downwards(12))).episode / "episode.h5")
    periods = np.arange(episode.steps + 1) * PERIOD_NS
    assert episode.steps == 12
    assert (episode.t_observed_ns == periods).all()
    assert (episode.t_began_ns == periods[:-1]).all()
    assert (episode.t_sent_ns == periods[:-1]).all()
    assert (episode.arrays["commands/t_arrived_mono_ns"] == periods[:-1]).all()
    assert (episode.arrays["commanded/t_client_us"] == periods[:-1] // 1000).all()
    assert (np.diff(episode.arrays["time/t_wall_ns"]) < PERIOD_NS).all()
    assert (episode.arrays["safety"] == Safety.DRIVING).all()
    assert episode.meta.nonce == NO_NONCE
    assert episode.meta.driven_by == LIFT.driver


@pytest.mark.parametrize("rules", ["2", None])
def test_an_episode_names_the_rules_that_it_is_to_be_scored_by(
    maker: Making, folder: Folder, rules: str | None
) -> None:
    making = maker(rules=rules)
    episode = read_episode(folder.path / making.keep(drive(making, downwards(3))).episode / "episode.h5")
    assert episode.meta.rules == (msgspec.UNSET if rules is None else rules)


def test_the_same_seed_and_answers_give_the_same_motion(maker: Making, folder: Folder) -> None:
    making, found = maker(), []
    for name in ("one", "two"):
        made = making.begin(name, 11)
        assert piloted(made, downwards(20))
        making.keep(made)
        found.append(read_episode(folder.path / name / "episode.h5").observations)
    assert all(found[0][name].tobytes() == found[1][name].tobytes() for name in found[0])


def test_letting_go_is_recorded_as_a_hold(maker: Making, folder: Folder) -> None:
    making = maker()
    answers = [DOWN] * 4 + [Ask.HOLD] * 3 + [DOWN] * 3 + [Ask.FINISH]
    attempt = making.keep(drive(making, Script(*answers)))
    states = read_episode(folder.path / attempt.episode / "episode.h5").arrays["safety"]
    assert states.tolist() == [Safety.DRIVING] * 4 + [Safety.HOLDING] * 3 + [Safety.DRIVING] * 3


def test_a_driver_that_never_holds_the_dead_man_is_told_so(maker: Making) -> None:
    begun = maker().begin("e", 1)
    with pytest.raises(CollectError, match="did not hold the dead-man"):
        piloted(begun, Script(Ask.HOLD))


def test_a_driver_that_finishes_at_once_has_recorded_nothing(maker: Making, folder: Folder) -> None:
    making = maker()
    with pytest.raises(CollectError, match="has no step"):
        making.keep(drive(making, Script(Ask.FINISH)))
    assert left_in(folder) == []


def test_a_drive_ends_at_the_steps_that_its_task_allows(maker: Making, folder: Folder) -> None:
    making = maker()
    begun = making.begin("long", 5)
    assert piloted(begun, Script(DOWN, Ask.HOLD))
    assert begun.ended is not None
    assert begun.ended.reason is EndReason.STEP_LIMIT
    assert not making.keep(begun).success
    assert read_episode(folder.path / "long" / "episode.h5").end.reason is EndReason.STEP_LIMIT


class Twisted:
    """A world that is seen a little otherwise than it is, or bursts after so many steps."""

    def __init__(self, world: World, *, off_rad: float = 0.0, bursts_after: int = 10**6) -> None:
        self.world, self.off_rad, self.left = world, off_rad, bursts_after
        self.spec = world.spec
        self.connect, self.disconnect = world.connect, world.disconnect

    def reset(self, seed: int) -> Observation:
        """Reset the world."""
        self.world.reset(seed)
        return self.observe()

    def observe(self) -> Observation:
        """Return what is seen, a little off."""
        seen = self.world.observe()
        joints = seen.values["joint_position"] + self.off_rad
        return Observation({**seen.values, "joint_position": joints}, seen.progress, seen.success)

    def send_action(self, action: Action) -> Action:
        """Go on, or burst."""
        self.left -= 1
        if self.left < 0:
            raise UnstableWorldError("expected the cube within 4 m")
        return self.world.send_action(action)


def test_what_cannot_be_reproduced_to_the_last_bit_does_not_count(maker: Making, folder: Folder, world: World) -> None:
    making = maker(Twisted(world, off_rad=1e-12), replay=True)
    with pytest.raises(CollectError, match="would not count, and is not kept: ReplayMismatch"):
        making.keep(drive(making, downwards(5)))
    assert left_in(folder) == []
    unchecked = maker(Twisted(world, off_rad=1e-12), replay=False)
    assert unchecked.keep(drive(unchecked, downwards(5))).steps == 5


def test_a_world_that_bursts_leaves_nothing_but_the_reason(maker: Making, folder: Folder, world: World) -> None:
    making = maker(Twisted(world, bursts_after=4))
    begun = drive(making, downwards(9))
    assert "expected the cube within 4 m" in making.keep(begun).lost
    begun.abandon()
    assert left_in(folder) == []


def test_the_operator_signs_only_what_was_sent(maker: Making, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    making = maker()
    begun = drive(making, downwards(5))
    monkeypatch.setattr(Drive, "sent", lambda _self, _epoch, _seq: bytes(32))
    with pytest.raises(OtherCommandsError):
        making.keep(begun)
    assert "lift-panda-7" not in [path.name for path in folder.path.iterdir()]


def test_it_is_signed_for_no_hub_by_keys_that_only_their_owner_reads(maker: Making, folder: Folder) -> None:
    making = maker()
    attempt = making.keep(drive(making, downwards(5)))
    signed = SIGNATURES_JSON.decode((folder.path / attempt.episode / "signatures.json").read_bytes())
    assert (signed.domain.chain_id, int(signed.domain.vault, 16)) == (0, 0)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.keys.iterdir()}
    assert modes == {"operator.key": 0o600, "robot.key": 0o600}
