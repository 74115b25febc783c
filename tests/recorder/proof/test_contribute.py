"""An operator's client signs what it drove: the last command of each epoch is one that it sent."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from recorder.proof import manifest as manifests
from recorder.proof.contribute import Driven, NotOurEpisodeError, OtherCommandsError, countersign, driven_elsewhere
from teleop.wire.messages import Command, digest_of
from tests.recorder.bundles import Adversary, sealed_bundle, sign_as_operator
from tests.recorder.driving import drive
from tests.recorder.factory import DOMAIN, ROBOT, SESSION, WALLET

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


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_command_that_was_not_sent_is_not_signed_for(adversary: Adversary, client: Client, epoch: int) -> None:
    """Everything else of the manifest is right, and the gates would let it pass: only the client can tell."""
    commands = list(adversary.manifest.commands)
    commands[epoch] = msgspec.structs.replace(commands[epoch], sha256=64 * "7")

    with pytest.raises(OtherCommandsError, match=f"command {commands[epoch].seq} of epoch {epoch + 1} was 7777"):
        countersign(said(adversary, commands=commands), DRIVEN, SESSION, DOMAIN, client.sent)


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
    countersign(data, DRIVEN, SESSION, DOMAIN, client.sent)

    *others, last = adversary.manifest.commands
    other = said(adversary, commands=[*others, msgspec.structs.replace(last, sha256=64 * "7")])
    with pytest.raises(OtherCommandsError):
        countersign(other, DRIVEN, SESSION, DOMAIN, client.sent)


def test_a_host_that_says_nothing_of_the_commands_gets_no_signature(adversary: Adversary, client: Client) -> None:
    data = said(adversary, version=1, commands=msgspec.UNSET)
    assert manifests.decode(data).version == 1

    with pytest.raises(OtherCommandsError, match="does not say what was commanded"):
        countersign(data, DRIVEN, SESSION, DOMAIN, client.sent)


def test_it_is_one_of_the_ways_in_which_an_episode_is_not_ours(tmp_path: Path, adversary: Adversary) -> None:
    with pytest.raises(NotOurEpisodeError, match="expected a manifest of"):
        countersign(said(adversary, episode="another"), DRIVEN, SESSION, DOMAIN)
    assert issubclass(OtherCommandsError, NotOurEpisodeError), "which the command line says in a sentence"
