"""Nobody but the hub says by which rules an episode is scored: any other choice is refused, whoever signs it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import msgspec
import pytest

from recorder.file.episode import read_episode
from recorder.file.meta import MetaError, decode_meta
from recorder.proof import manifest as manifests
from recorder.proof import refusals
from recorder.proof.case import Books, Trust
from recorder.proof.manifest import SchemaError
from recorder.proof.verify import require_gates, verify
from tests.recorder.bundles import Adversary, good_bundle, record
from tests.recorder.factory import fake_episode
from tests.recorder.make_golden import VERSION_1, VERSION_2
from tests.recorder.proof.test_verify import HUBS, RECEIVED_MS, TICKET, refused_by, remade

CHOICES = [None, "1", "2", "3", "no-such-rules"]


@pytest.fixture(scope="module")
def adversary(tmp_path_factory: pytest.TempPathFactory) -> Adversary:
    return Adversary.of(good_bundle(tmp_path_factory.mktemp("bundle")))


def asked(rules: str | None, *, in_full: bool = True) -> Trust:
    """What a hub knows that named these rules; not `in_full`: a ticket of an early release."""
    ticket = dataclasses.replace(TICKET, rules=rules, asked=TICKET.asked if in_full else None)
    return dataclasses.replace(HUBS, books=Books(ticket, None, None, RECEIVED_MS))


@pytest.mark.parametrize("in_full", [True, False])
@pytest.mark.parametrize("said", CHOICES)
@pytest.mark.parametrize("named", [None, "2", "3"])
def test_no_host_chooses_the_rules_that_pay_it_best(
    adversary: Adversary, named: str | None, said: str | None, in_full: bool
) -> None:
    """Not older ones, not newer ones, not unknown ones, and not those of an episode that says nothing."""
    rules = msgspec.UNSET if said is None else said
    bundle = remade(adversary, msgspec.structs.replace(adversary.episode.meta, rules=rules))
    trust = asked(named, in_full=in_full)

    if said == named:
        verify(bundle, trust)
    else:
        assert refused_by(bundle, trust) is refusals.TicketMismatch


def test_other_rules_are_refused_as_the_host_seals_before_its_file_is_looked_at(adversary: Adversary) -> None:
    bundle = dataclasses.replace(adversary.say(rules="1"), episode=None, sha256=None, size=None)

    with pytest.raises(refusals.TicketMismatch, match=r"named the rules '3'.*names the rules '1'.*must be updated"):
        require_gates(bundle, asked("3"), ("ticket",))


def test_the_manifest_names_the_rules_that_the_file_names(adversary: Adversary) -> None:
    """Else a host would pass the ticket's gate with one name, and be scored by another."""
    named = remade(adversary, msgspec.structs.replace(adversary.episode.meta, rules="1"))
    other = Adversary(named).say(rules="3")

    assert refused_by(other, asked("3")) is refusals.ManifestDisagrees
    assert refused_by(Adversary(named).say(rules=msgspec.UNSET), asked(None)) is refusals.ManifestDisagrees


def test_a_recording_keeps_the_rules_that_the_order_named(tmp_path: Path) -> None:
    meta = read_episode(record(tmp_path, fake_episode(rules="3"))).meta
    assert meta.rules == "3"
    assert json.loads(meta.encode())["rules"] == "3"


def test_an_episode_of_a_hub_that_named_none_says_nothing_of_rules(tmp_path: Path) -> None:
    meta = read_episode(record(tmp_path, fake_episode())).meta
    assert meta.rules is msgspec.UNSET
    assert "rules" not in json.loads(meta.encode())


@pytest.mark.parametrize("rules", ["", " 2", "2\n", "-1", "x" * 17, "2/../3", 2, None, ["2"]])
def test_rules_without_a_plain_name_are_no_meta(adversary: Adversary, rules: object) -> None:
    said = json.loads(adversary.episode.meta.encode()) | {"rules": rules}
    with pytest.raises(MetaError):
        decode_meta(manifests.canonical(said))


def test_the_first_format_knows_no_rules() -> None:
    old = VERSION_1 / "good"
    meta = json.loads(read_episode(old / "episode.h5").meta_bytes) | {"rules": "2"}
    with pytest.raises(MetaError, match="no rules in version 1"):
        decode_meta(manifests.canonical(meta))
    said = json.loads((old / "manifest.json").read_bytes()) | {"rules": "2"}
    with pytest.raises(SchemaError, match="no `rules` in version 1"):
        manifests.decode(manifests.canonical(said))


def test_the_corpus_has_episodes_with_rules_and_without() -> None:
    metas = [read_episode(VERSION_2 / name / "episode.h5").meta for name in ("good", "good-rules")]
    assert [one.rules for one in metas] == [msgspec.UNSET, "2"]
