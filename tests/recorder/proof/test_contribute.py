"""An operator's client signs what it drove: the last command of each epoch is one that it sent."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import msgspec
import pytest

from recorder.file.episode import Episode
from recorder.proof import manifest as manifests
from recorder.proof.checks import commands
from recorder.proof.contribute import (
    Driven,
    NotOurEpisodeError,
    OtherCommandsError,
    OtherDriverError,
    countersign,
    driven_elsewhere,
)
from recorder.proof.manifest import NO_PREVIOUS
from teleop.wire.driver import PERSON, Driver, DriverKind
from teleop.wire.messages import Command, digest_of
from tests.recorder.bundles import Adversary, sealed_bundle, sign_as_operator
from tests.recorder.driving import drive
from tests.recorder.factory import DOMAIN, ROBOT, SESSION, WALLET
from tests.recorder.lies import with_byte

DRIVEN = Driven("episode-1", WALLET.address, ROBOT.address, "lift")


class Client:
    """What a client remembers of the commands that it sent: their hashes, by epoch and number."""

    def __init__(self, adversary: Adversary) -> None:
        self.hashes: dict[tuple[int, int], bytes] = {}
        for row in adversary.episode.commands():
            said = Command.decode(row.data)
            self.hashes[said.epoch, said.seq] = digest_of(row.data)

    def sent(self, epoch: int, seq: int) -> bytes | None:
        """Return the hash of a command; no bytes if it was not sent in an epoch in which others were."""
        if epoch not in {one for one, _ in self.hashes}:
            return None
        return self.hashes.get((epoch, seq), b"")


@pytest.fixture(scope="module")
def adversary(tmp_path_factory: pytest.TempPathFactory) -> Adversary:
    return Adversary.of(sealed_bundle(tmp_path_factory.mktemp("bundle"), made=drive()))


@pytest.fixture
def client(adversary: Adversary) -> Client:
    return Client(adversary)


def said(adversary: Adversary, **changes: object) -> bytes:
    return msgspec.structs.replace(adversary.manifest, **changes).encode()


def test_what_was_sent_is_signed(adversary: Adversary, client: Client) -> None:
    data = said(adversary)

    assert countersign(data, DRIVEN, SESSION, DOMAIN, client.sent) == sign_as_operator(data, SESSION, DOMAIN)
    assert countersign(data, DRIVEN, SESSION, DOMAIN) == sign_as_operator(data, SESSION, DOMAIN)
    assert driven_elsewhere(data, client.sent) == []


POLICY = Driver(DriverKind.POLICY, "my_policy:act", 64 * "5")


@pytest.mark.parametrize(("ours", "said_to_be"), [(PERSON, POLICY), (POLICY, PERSON)])
def test_neither_host_nor_hub_makes_a_person_of_a_program_or_the_other_way_round(
    adversary: Adversary, ours: Driver, said_to_be: Driver
) -> None:
    """Even if both agree on it, and so every gate passes."""
    driven = dataclasses.replace(DRIVEN, driver=ours)
    countersign(said(adversary, driver=ours), driven, SESSION, DOMAIN)

    with pytest.raises(OtherDriverError, match="Do not sign it"):
        countersign(said(adversary, driver=said_to_be), driven, SESSION, DOMAIN)
    countersign(said(adversary, driver=said_to_be), DRIVEN, SESSION, DOMAIN)  # another client told it


def test_another_version_of_a_policy_is_another_driver(adversary: Adversary) -> None:
    newer = Driver(DriverKind.POLICY, POLICY.name, 64 * "6")

    with pytest.raises(OtherDriverError):
        countersign(said(adversary, driver=newer), dataclasses.replace(DRIVEN, driver=POLICY), SESSION, DOMAIN)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_command_that_was_not_sent_is_not_signed_for(adversary: Adversary, client: Client, which: int) -> None:
    """Everything else of the manifest is right, and the gates would let it pass: only the client can tell."""
    named = list(adversary.manifest.commands)
    named[which] = msgspec.structs.replace(named[which], sha256=64 * "7")

    with pytest.raises(OtherCommandsError, match=f"command {named[which].seq} of epoch {named[which].epoch} was 7777"):
        countersign(said(adversary, commands=named), DRIVEN, SESSION, DOMAIN, client.sent)


def test_a_number_that_was_never_sent_is_not_signed_for(adversary: Adversary, client: Client) -> None:
    *others, last = adversary.manifest.commands
    beyond = msgspec.structs.replace(last, seq=last.seq + 1)

    with pytest.raises(OtherCommandsError, match="none of that number was sent"):
        countersign(said(adversary, commands=[*others, beyond]), DRIVEN, SESSION, DOMAIN, client.sent)


def test_an_epoch_that_another_window_drove_is_told_and_the_others_are_still_compared(
    adversary: Adversary, client: Client
) -> None:
    client.hashes = {at: one for at, one in client.hashes.items() if at[0] == 2}
    data = said(adversary)
    assert driven_elsewhere(data, client.sent) == [1]
    assert driven_elsewhere(data, lambda epoch, seq: None) == [1, 2]
    countersign(data, DRIVEN, SESSION, DOMAIN, client.sent)

    *others, last = adversary.manifest.commands
    other = said(adversary, commands=[*others, msgspec.structs.replace(last, sha256=64 * "7")])
    with pytest.raises(OtherCommandsError):
        countersign(other, DRIVEN, SESSION, DOMAIN, client.sent)


def test_a_command_before_a_gap_is_bound_though_none_after_it_holds_its_hash(
    adversary: Adversary, client: Client
) -> None:
    """A host that says that a command never came could otherwise change all those before it."""
    episode = adversary.episode
    arrays = {path: array.copy() for path, array in episode.arrays.items()}
    gap = next(row for row, after in enumerate(lost(episode)) if after)
    with_byte(gap, 16, 255)(arrays)
    forged = dataclasses.replace(episode, arrays=arrays)
    assert commands.problem(forged) is None, "no stranger can see it"

    entry = adversary.manifest.files[0]
    same = {"size": entry.size, "sha256": entry.sha256, "previous": NO_PREVIOUS, "software": "test"}
    data = manifests.of_episode(forged, root=manifests.root_hex(forged), **same).encode()
    with pytest.raises(OtherCommandsError):
        countersign(data, DRIVEN, SESSION, DOMAIN, client.sent)


def lost(episode: Episode) -> list[bool]:
    """Return for each command whether the one after it, in its epoch, never came."""
    said = [Command.decode(row.data) for row in episode.commands()]
    return [one.epoch == after.epoch and after.seq > one.seq + 1 for one, after in pairwise(said)]


def test_a_host_that_says_nothing_of_the_commands_gets_no_signature(adversary: Adversary, client: Client) -> None:
    data = said(adversary, version=1, commands=msgspec.UNSET, driver=msgspec.UNSET)
    assert manifests.decode(data).version == 1

    with pytest.raises(OtherCommandsError, match="does not say what was commanded"):
        countersign(data, DRIVEN, SESSION, DOMAIN, client.sent)


def test_it_is_one_of_the_ways_in_which_an_episode_is_not_ours(adversary: Adversary) -> None:
    with pytest.raises(NotOurEpisodeError, match="expected a manifest of"):
        countersign(said(adversary, episode="another"), DRIVEN, SESSION, DOMAIN)
    assert issubclass(OtherCommandsError, NotOurEpisodeError), "which the command line says in a sentence"
