"""What an export is made of: episodes that fit together and that a hub vouches for; each misfit has a name."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from eth_account import Account

from recorder.export.demonstrations import demonstrations
from recorder.export.errors import (
    ActionError,
    CameraError,
    MixedRobotsError,
    MixedTasksError,
    NothingToExportError,
    RepeatedEpisodeError,
    UnreadableBundleError,
    UnverifiedError,
    WithdrawnError,
)
from recorder.proof.bundle import RECEIPT_FILE, SIGNATURES_FILE
from recorder.proof.manifest import EPISODE_FILE
from tests.recorder.bundles import TRUST, good_bundle, receipt
from tests.recorder.factory import HUB, ROBOT, WALLET


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [good_bundle(folder, episode=f"e{number}", steps=10 + number) for number in range(3)]


def test_demonstrations_come_in_order_with_what_is_said_of_them(bundles: list[Path]) -> None:
    found = demonstrations(
        bundles, action="joint_position", trust=TRUST, facts=lambda bundle, _: {"score": len(str(bundle.name))}
    )
    made = list(found)
    assert [one.number for one in made] == [0, 1, 2]
    assert [one.actions.shape for one in made] == [(10, 4), (11, 4), (12, 4)]
    assert (len(found), found.steps, found.hubs) == (3, 33, {HUB.address})
    first = made[0]
    assert first.facts["operator"] == WALLET.address
    assert first.facts["robot"] == ROBOT.address
    assert first.facts["digest"] == first.digest
    assert (first.facts["trust"], first.facts["success"], first.facts["seed"], first.facts["score"]) == (
        "replayed",
        True,
        7,
        2,
    )
    assert [one.digest for one in found] == [one.digest for one in made], "each iteration gives the same"


def test_nothing_mixed_or_repeated_is_refused_by_name(bundles: list[Path], tmp_path: Path) -> None:
    other = good_bundle(tmp_path, episode="other", joints=4)
    real = good_bundle(tmp_path, episode="real", simulated=False)
    stack = good_bundle(tmp_path, episode="stack", task="stack")
    again = Path(shutil.copytree(bundles[0], tmp_path / "again"))
    for given, error, says in (
        ([], NothingToExportError, "at least one"),
        ([bundles[0], other], MixedRobotsError, "other is of another robot|other of another robot"),
        ([bundles[0], real], MixedRobotsError, "a real fake_arm"),
        ([bundles[0], stack], MixedTasksError, r"stack of stack \(version 1\)"),
        ([bundles[0], again], RepeatedEpisodeError, "again is the same episode"),
    ):
        with pytest.raises(error, match=says):
            demonstrations(given, action="joint_position")


def test_a_class_of_trust_is_repeated_only_of_a_hub_that_was_named(bundles: list[Path]) -> None:
    named = demonstrations(bundles[:1], action="joint_position", trust=TRUST)
    anyones = demonstrations(bundles[:1], action="joint_position")
    assert [one.facts["trust"] for one in (*named, *anyones)] == ["replayed", ""]
    assert anyones.hubs == {HUB.address}, "whoever reads it is told whose it is"


def test_an_episode_without_a_hubs_word_is_refused_unless_it_is_asked_for(bundles: list[Path], tmp_path: Path) -> None:
    bare = Path(shutil.copytree(bundles[1], tmp_path / "bare"))
    (bare / RECEIPT_FILE).unlink()
    with pytest.raises(UnverifiedError, match=r"bare has no receipt.*--unverified"):
        demonstrations([bundles[0], bare], action="joint_position")
    taken = list(demonstrations([bundles[0], bare], action="joint_position", unverified=True))
    assert [one.facts["trust"] for one in taken] == ["", ""], "nobody looked at a receipt, so none is repeated"


def test_a_receipt_that_does_not_stand_is_refused(bundles: list[Path], tmp_path: Path) -> None:
    data = (bundles[0] / "manifest.json").read_bytes()
    stranger = Account.from_key(b"\7" * 32)
    of_another = (bundles[1] / RECEIPT_FILE).read_bytes()
    torn = (bundles[0] / RECEIPT_FILE).read_bytes()[:-20]
    unsigned = (bundles[0] / RECEIPT_FILE).read_bytes().replace(b'"signature":"0x', b'"signature":"0x0')[:-4]
    for name, said in (("another", of_another), ("torn", torn), ("unsigned", unsigned)):
        copied = Path(shutil.copytree(bundles[0], tmp_path / name))
        (copied / RECEIPT_FILE).write_bytes(said)
        with pytest.raises(UnverifiedError, match=name):
            demonstrations([copied], action="joint_position")
    own = Path(shutil.copytree(bundles[0], tmp_path / "own"))
    (own / RECEIPT_FILE).write_bytes(receipt(data, hub=stranger))
    assert demonstrations([own], action="joint_position").hubs == {stranger.address}, "who vouches is said"
    with pytest.raises(UnverifiedError, match="expected the hub"):
        demonstrations([own], action="joint_position", trust=TRUST)


def test_an_episode_that_a_hub_gives_out_no_longer_is_refused(bundles: list[Path]) -> None:
    def gone(manifest: object) -> str:
        return "its operator has withdrawn it" if getattr(manifest, "episode", "") == "e1" else ""

    with pytest.raises(WithdrawnError, match=r"e1: its operator has withdrawn it"):
        demonstrations(bundles, action="joint_position", gone=gone)


@pytest.mark.parametrize("name", [EPISODE_FILE, "manifest.json", SIGNATURES_FILE])
@pytest.mark.parametrize("damage", ["missing", "empty", "flipped", "cut"])
def test_a_damaged_bundle_is_named(bundles: list[Path], tmp_path: Path, name: str, damage: str) -> None:
    bad = Path(shutil.copytree(bundles[1], tmp_path / "bad"))
    data = bytearray((bad / name).read_bytes())
    (bad / name).unlink()
    if damage != "missing":
        middle = len(data) // 2
        data[middle] ^= 0x40
        (bad / name).write_bytes({"empty": b"", "flipped": bytes(data), "cut": bytes(data[:middle])}[damage])
    with pytest.raises((UnreadableBundleError, UnverifiedError), match=str(bad)):
        demonstrations([bundles[0], bad], action="joint_position")


def test_actions_and_cameras_that_an_episode_does_not_have_are_refused(bundles: list[Path]) -> None:
    with pytest.raises(ActionError, match="joint positions"):
        demonstrations(bundles, action="ee_twist")
    with pytest.raises(CameraError, match="have to be drawn"):
        demonstrations(bundles, action="joint_position", cameras=["front"])


def test_all_is_checked_before_the_first_is_given_out(bundles: list[Path], tmp_path: Path) -> None:
    bad = Path(shutil.copytree(bundles[2], tmp_path / "bad"))
    (bad / EPISODE_FILE).write_bytes(b"")
    with pytest.raises(UnreadableBundleError):
        demonstrations([*bundles[:2], bad], action="joint_position")


def test_demonstrations_are_values(bundles: list[Path]) -> None:
    one = next(iter(demonstrations(bundles, action="joint_delta")))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.number = 3  # type: ignore[misc]
    assert np.abs(one.actions).max() <= 1.0
