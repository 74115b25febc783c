"""What hosts could once say and be believed: each attack that was paid, against the running platform."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest

from armshare.operator.drive import drive_once
from armshare.operator.handing import contribute
from armshare.platform.processes import platform
from teleop.identity import new_key
from teleop.operator.driver import Driver
from tests.adversary.stranger import Claim, Stranger, TurnedAwayError
from tests.armshare.platform.test_house import robot_of

LONG_AGO_NS = 35_000_000_000_000_000


@dataclass(frozen=True)
class Scene:
    """The platform, with one honest episode that everybody can download."""

    url: str
    file: bytes
    descriptor: dict[str, Any]
    episode: str

    def copied(self) -> Claim:
        """Return the honest episode, as a thief holds it."""
        return Claim.of(self.file)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    data = tmp_path_factory.mktemp("adversary")
    with (data / "log").open("wb") as log, platform(data, 0, ["panda:reach"], log) as (url, _children):
        episode, descriptor = asyncio.run(honest(url))
        file = httpx.get(f"{url}/api/episodes/{episode}/files/episode.h5").raise_for_status().content
        yield Scene(url, file, descriptor, episode)


@pytest.fixture
def thief(scene: Scene) -> Iterator[Stranger]:
    with closing(Stranger(scene.url)) as fresh:
        yield fresh


async def honest(url: str) -> tuple[str, dict[str, Any]]:
    """Drive one episode, and hand it in; return it, and the descriptor of the robot that it was driven with."""
    async with Driver(url, new_key()) as driver:
        robot = await robot_of(driver)
        await driver.join(robot, "reach")
        done = await contribute(driver, await drive_once(driver, robot), robot)
        assert done.accepted
        found = await driver.call("GET", f"/api/robots/{robot}")
        await driver.leave()
    return done.episode, found["descriptor"]


def paid(scene: Scene, thief: Stranger, episode: str) -> tuple[int, bool]:
    """Return what an episode earned its operator, and whether it qualified them."""
    score = thief.http.get(f"/api/episodes/{episode}/score", params={"wait_s": 20}).raise_for_status().json()
    operator = thief.http.get(f"/api/operators/{thief.wallet.address}").json()
    assert score["review"]["state"] == "refused", "nobody is asked to judge what a wallet brings that never drove"
    return int(score["pay"]), operator["since_ms"] is not None


def a_nanosecond(claim: Claim) -> None:
    claim.arrays["time/t_wall_ns"] = claim.arrays["time/t_wall_ns"] + 1


def a_millimetre(claim: Claim) -> None:
    swing = np.sin(np.linspace(0.0, 7.0, len(claim.arrays["success"])))
    claim.arrays["observation/ee_pose"][:, :3] += 0.001 * swing[:, None]
    claim.arrays["observation/joint_position"] += 0.001 * swing[:, None]
    claim.arrays["applied/joint_position"] += 0.001 * swing[:-1, None]


def turned_around(claim: Claim) -> None:
    """Turn the whole motion about the robot's first axis, which nothing but a look at its world can tell."""
    turn = 0.3
    claim.arrays["observation/joint_position"][:, 0] += turn
    claim.arrays["applied/joint_position"][:, 0] += turn
    x, y = claim.arrays["observation/ee_pose"][:, :2].T.copy()
    claim.arrays["observation/ee_pose"][:, 0] = np.cos(turn) * x - np.sin(turn) * y
    claim.arrays["observation/ee_pose"][:, 1] = np.sin(turn) * x + np.cos(turn) * y


def called_real(scene: Scene, thief: Stranger, change: Callable[[Claim], None]) -> httpx.Response:
    """Hand in the honest episode as that of a real robot."""
    thief.register(model=scene.descriptor["model"], simulated=False)
    said = scene.descriptor | {"simulated": False}

    def as_mine(order: dict[str, Any]) -> Claim:
        copied = copy.deepcopy(scene.copied())
        copied.meta["robot"] |= {"simulated": False}
        change(copied)
        wait_out(copied)
        return thief.adopted(copied, order)

    return thief.hand_in(said, "reach", as_mine)


@pytest.mark.parametrize(
    ("change", "gate"), [(a_nanosecond, "DuplicateEpisode"), (a_millimetre, "CopiedMotion")]
)  # fmt: skip
def test_copied_motion_of_a_robot_that_is_called_real_is_refused(
    scene: Scene, thief: Stranger, change: Callable[[Claim], None], gate: str
) -> None:
    """Six of these were paid in four seconds, and the first one qualified its wallet."""
    answer = called_real(scene, thief, change)
    assert (answer.status_code, answer.json()["error"]["gate"]) == (422, gate)
    shown = thief.http.get(answer.request.url.path.removesuffix("/signature")).json()
    assert (shown["state"], shown["twin"]) == ("rejected", scene.episode)


def test_a_copy_that_is_not_found_earns_nothing_if_its_robot_is_called_real(scene: Scene, thief: Stranger) -> None:
    answer = called_real(scene, thief, turned_around)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["trust"] == "witnessed"
    assert paid(scene, thief, shown["episode"]) == (0, False)


def test_copied_motion_of_a_simulated_robot_is_not_what_its_seed_gives(scene: Scene, thief: Stranger) -> None:
    assert refused(scene, thief, lambda claim: None) == "ReplayMismatch"


def test_a_simulated_robot_does_not_become_real_in_its_manifest(scene: Scene, thief: Stranger) -> None:
    assert refused(scene, thief, lambda claim: claim.meta["robot"].update(simulated=False)) == "SpecMismatch"


def test_a_host_does_not_describe_another_robot_than_its_owner_registered(scene: Scene, thief: Stranger) -> None:
    thief.register(model=scene.descriptor["model"], simulated=True)

    with pytest.raises(TurnedAwayError, match="registered as panda, simulated"):
        thief.hand_in(scene.descriptor | {"simulated": False}, "reach", lambda order: scene.copied())


def failed_and_called_a_success(claim: Claim) -> None:
    claim.arrays["success"] = claim.arrays["success"] * 0


def a_billion(claim: Claim) -> None:
    claim.meta["spec"]["joint_upper_rad"] = [1e9] * len(claim.meta["spec"]["joint_upper_rad"])


def a_hundredth(claim: Claim) -> None:
    claim.meta["spec"]["control_hz"] = 0.01


def the_goal_as_the_hand(claim: Claim) -> None:
    other = next(one["name"] for one in claim.meta["spec"]["observation"] if one["name"].endswith("pose")
                 and one["shape"] == [7] and one["name"] != claim.meta["spec"]["end_effectors"][0]["pose"])  # fmt: skip
    claim.meta["spec"]["end_effectors"][0]["pose"] = other


def another_wish(claim: Claim) -> None:
    claim.meta["task"]["instruction"] = "Ignore the cube and wave."


def harder_to_stop(claim: Claim) -> None:
    claim.meta["spec"]["joint_jerk_max_rad_s3"] = [1e9] * len(claim.meta["spec"]["joint_jerk_max_rad_s3"])


def of_1971(claim: Claim) -> None:
    claim.moved_to(LONG_AGO_NS)


def another_wish_of_its_operator(claim: Claim) -> None:
    claim.arrays["commanded/values"] = claim.arrays["commanded/values"] * 2


def a_command_of_its_own(claim: Claim) -> None:
    """Its operator is the thief as well, who would sign anything: but the command after it holds another hash."""
    changed = claim.arrays["commands/bytes"].copy()
    changed[int(claim.arrays["commands/end"][len(claim.arrays["commands/end"]) // 2]) - 1] ^= 1
    claim.arrays["commands/bytes"] = changed


def driven_by_nobody(claim: Claim) -> None:
    """After a second without a command, it drives on."""
    late = claim.arrays["commands/step"] > 10
    kept = {name: array for name, array in claim.arrays.items() if name.startswith("commands/")}
    first = int(np.argmax(late))
    claim.arrays |= {name: array[:first] for name, array in kept.items()}
    claim.arrays["commands/bytes"] = kept["commands/bytes"][: int(kept["commands/end"][first - 1])]
    for path in [path for path in claim.arrays if path.startswith("commanded/")]:
        said = claim.arrays[path].copy()
        said[11:] = said[10]
        claim.arrays[path] = said


def of_an_older_format(claim: Claim) -> None:
    """Version 1 kept no commands, so nothing of them could be checked."""
    claim.version = 1
    claim.meta["version"] = 1
    del claim.meta["spec"]["joint_resolution_rad"], claim.meta["driver"], claim.meta["cameras"], claim.meta["rules"]
    del claim.meta["end"]["notes"]
    claim.meta["engine"].pop("control", None)
    for path in [path for path in claim.arrays if path.startswith("commands/") or path == "time/t_began_mono_ns"]:
        del claim.arrays[path]


def a_person_who_drove(claim: Claim) -> None:
    """The stranger's operator said that a script drives."""
    claim.meta["driver"] = {"kind": "person", "name": "", "sha256": ""}


def another_version_of_the_script(claim: Claim) -> None:
    claim.meta["driver"] |= {"sha256": "6" * 64}


def by_older_rules(claim: Claim) -> None:
    """What pays its host best, if it could choose."""
    claim.meta["rules"] = "1"


def by_rules_that_nobody_has(claim: Claim) -> None:
    """What no hub can score, so that whoever waits for a score waits behind it."""
    claim.meta["rules"] = "no-such-rules"


def by_no_rules(claim: Claim) -> None:
    del claim.meta["rules"]


LIES: dict[str, tuple[Callable[[Claim], None], str]] = {
    "older rules": (by_older_rules, "TicketMismatch"),
    "rules that nobody has": (by_rules_that_nobody_has, "TicketMismatch"),
    "no rules": (by_no_rules, "TicketMismatch"),
    "a person who drove": (a_person_who_drove, "TicketMismatch"),
    "another version of the script": (another_version_of_the_script, "TicketMismatch"),
    "a success that no step shows": (failed_and_called_a_success, "SuccessMismatch"),
    "limits of a billion": (a_billion, "SpecMismatch"),
    "a rate of a hundredth": (a_hundredth, "SpecMismatch"),
    "something else as the hand": (the_goal_as_the_hand, "SpecMismatch"),
    "a jerk of a billion": (harder_to_stop, "SpecMismatch"),
    "another instruction": (another_wish, "SpecMismatch"),
    "an episode of 1971": (of_1971, "TimeMismatch"),
    "another wish of its operator": (another_wish_of_its_operator, "CommandsMismatch"),
    "a command of its own": (a_command_of_its_own, "CommandsMismatch"),
    "driven by nobody": (driven_by_nobody, "SafetyMismatch"),
    "an older format": (of_an_older_format, "TicketMismatch"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_an_episode_is_refused_by_its_name(scene: Scene, thief: Stranger, lie: str) -> None:
    change, gate = LIES[lie]
    assert refused(scene, thief, change) == gate


def test_an_episode_that_took_no_time_is_refused(scene: Scene, thief: Stranger) -> None:
    """A host that computes its drives hands them in sooner than they could have been driven."""
    assert refused(scene, thief, lambda claim: None, at_once=True) == "TimeMismatch"


def test_nobody_gets_a_file_before_its_author_has_handed_it_in(scene: Scene, thief: Stranger) -> None:
    """Whoever signed it first was its author, and the author was refused as the copy."""
    asyncio.run(unsigned_is_private(scene.url, thief))


async def unsigned_is_private(url: str, thief: Stranger) -> None:
    async with Driver(url, new_key()) as driver:
        robot = await robot_of(driver)
        await driver.join(robot, "reach")
        ended = await drive_once(driver, robot)
        await driver.call("GET", f"/api/episodes/{ended['episode']}/manifest?wait_s=20")
        file = f"/api/episodes/{ended['episode']}/files/episode.h5"
        for headers, status in (({}, 401), (thief.bearer, 403)):
            assert (await asyncio.to_thread(thief.http.get, file, headers=headers)).status_code == status
        assert (await driver.http.get(file)).status_code == 200, "its operator has it"
        done = await contribute(driver, ended, robot)
        await driver.leave()
        assert done.accepted
        assert (await asyncio.to_thread(thief.http.get, file)).status_code == 200


def test_an_episode_that_its_operator_did_not_finish_is_refused_as_soon_as_it_comes(
    scene: Scene, thief: Stranger
) -> None:
    answer = handed_in(scene, thief, finishes=False)
    assert answer.json()["error"]["gate"] == "EndMismatch"


def test_an_operator_is_told_what_is_scored(scene: Scene, thief: Stranger) -> None:
    """A host told its operator of a failure, and handed in a success."""
    answer = handed_in(scene, thief, told={"success": False})
    assert answer.json()["error"]["gate"] == "EndMismatch"


def handed_in(scene: Scene, thief: Stranger, **options: Any) -> httpx.Response:
    thief.register(model=scene.descriptor["model"], simulated=True)
    return thief.hand_in(
        scene.descriptor, "reach", lambda order: thief.adopted(copy.deepcopy(scene.copied()), order), **options
    )


def test_an_episode_is_no_longer_than_it_was_open_however_late_it_comes(scene: Scene, thief: Stranger) -> None:
    """A thief with time waited after `ended`, and the hub counted until the file came."""
    assert refused(scene, thief, lambda claim: None, at_once=True, sealed_after=wait_out) == "TimeMismatch"


def test_a_robot_that_the_hub_cannot_replay_says_so_before_anybody_drives(scene: Scene, thief: Stranger) -> None:
    """Its drives were held for ever, and nobody had been told."""
    thief.register(model="pandora", simulated=True)
    with thief.socket("/ws/host") as host:
        told = thief.cannot_check(host, scene.descriptor | {"model": "pandora"})
        assert told["task"] == "reach"
        assert told["reason"].startswith("UnknownRobot: ")
        card = next(one for one in thief.http.get("/api/robots").json() if one["robot"] == thief.robot.address)
        assert card["tasks"][0]["unchecked"].startswith("UnknownRobot: ")


def wait_out(claim: Claim) -> None:
    """Wait for as long as the recording lasts: a thief who knows of the hub's clock does."""
    seen = claim.arrays["time/t_observed_mono_ns"]
    time.sleep(int(seen[-1] - seen[0]) / 1e9)


def refused(
    scene: Scene,
    thief: Stranger,
    change: Callable[[Claim], None],
    *,
    at_once: bool = False,
    sealed_after: Callable[[Claim], None] = lambda claim: None,
) -> str:
    """Hand in the honest episode as one's own, with a lie in it; return the gate that refuses."""
    thief.register(model=scene.descriptor["model"], simulated=True)

    def as_mine(order: dict[str, Any]) -> Claim:
        claim = thief.adopted(copy.deepcopy(scene.copied()), order)
        change(claim)
        if not at_once:
            wait_out(claim)
        return claim

    answer = thief.hand_in(scene.descriptor, "reach", as_mine, sealed_after=sealed_after)
    assert answer.status_code == 422, answer.text
    shown = thief.http.get(answer.request.url.path.rpartition("/")[0])
    assert shown.json()["state"] == "rejected"
    return str(answer.json()["error"]["gate"])


def test_the_honest_episode_was_replayed(scene: Scene) -> None:
    assert httpx.get(f"{scene.url}/api/episodes/{scene.episode}").json()["trust"] == "replayed"


def test_a_stranger_stops_and_clears_its_robot_by_the_documents_alone(scene: Scene, thief: Stranger) -> None:
    thief.register(model=scene.descriptor["model"], simulated=True)
    assert thief.stopped_and_cleared(scene.descriptor) == thief.wallet.address
