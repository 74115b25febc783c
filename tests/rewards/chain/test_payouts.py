"""Promises of settlement: crash-safe at every step, nothing paid twice, and the published JSON rebuilds the root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.hub.log import Log
from recorder.hub.tables import LogHead
from recorder.proof.log import merkle
from recorder.proof.log.checkpoint import LogKey
from rewards.chain import payouts
from rewards.chain.payouts import NothingSettledError, RootVoidError, UnknownRootError, WrongVaultError, log_head
from rewards.chain.vault import ChainUnreachableError, NothingToClaimError
from rewards.ledger import ledger
from rewards.ledger.settle import RootState, read_payout
from tests.rewards.whole_chain import WholeChain
from tests.rewards.world import ADA, BOB, DictVault, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A hub with an empty ledger and a vault in memory."""
    made = make_world(tmp_path, DictVault())
    yield made
    made.database.kw["bind"].dispose()


def earn(world: World, address: str, amount_wei: int, key: str) -> None:
    """Give an operator something to be settled."""
    gift = ledger.transfer(key, "gift", ledger.VAULT, ledger.operator(address), amount_wei, 1)
    ledger.write(world.database, lambda db: ledger.post(db, gift))


def test_where_nobody_has_earned_there_is_no_root(world):
    assert world.payouts().settle() is None
    assert world.vault.roots == []


def test_what_was_earned_is_settled_published_and_claimed(world):
    earn(world, ADA, 5, "a")
    earn(world, BOB, 7, "b")
    made = world.payouts()
    root = made.settle()
    assert (root.state, root.total_wei, root.payees, root.index) == ("final", 12, 2, 0)
    assert dict(read_payout(made.document(root.root)).cumulative) == {ADA: 5, BOB: 7}
    assert made.settled(ADA) == 5
    paid = made.claim(ADA)
    assert (paid.amount_wei, paid.claimed_wei, paid.wallet_wei) == (5, 5, 5)


def test_no_new_root_when_nothing_changed(world):
    earn(world, ADA, 5, "a")
    made = world.payouts()
    assert made.settle() == made.settle() == world.payouts().settle()
    assert len(world.vault.roots) == len(made.roots()) == 1


def test_nothing_is_claimed_twice(world):
    earn(world, ADA, 5, "a")
    made = world.payouts()
    made.settle()
    made.claim(ADA)
    with pytest.raises(NothingToClaimError):
        made.claim(ADA)
    earn(world, ADA, 4, "b")
    made.settle()
    assert made.claim(ADA).amount_wei == 4


def test_who_is_under_no_final_root_is_told_to_wait(world):
    with pytest.raises(NothingSettledError, match="wait"):
        world.payouts().claim(ADA)


def test_an_operator_who_earned_nothing_new_keeps_a_proof_under_every_root(world):
    earn(world, ADA, 5, "a")
    world.payouts().settle()
    earn(world, BOB, 7, "b")
    made = world.payouts()
    made.settle()
    assert world.payouts().claim(ADA).amount_wei == 5
    assert dict(read_payout(made.document(made.roots()[0].root)).cumulative) == {ADA: 5, BOB: 7}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_chain_that_vanishes_is_healed_by_the_next_call(world, moment):
    earn(world, ADA, 5, "a")
    world.vault.fail = moment
    with pytest.raises(ChainUnreachableError):
        world.payouts().settle()
    assert world.payouts().roots()[0].state == "prepared"
    earn(world, ADA, 1, "b")
    root = world.payouts().settle()
    assert [one.total for one in world.vault.roots] == [5, 6]
    assert (root.state, root.total_wei) == ("final", 6)


@pytest.mark.parametrize("step", ["write_atomic", "publish", "build_tree"])
def test_a_crash_while_preparing_leaves_nothing_half_done(world, monkeypatch, step):
    earn(world, ADA, 5, "a")

    def crash(*_: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as broken:
        broken.setattr(payouts, step, crash)
        with pytest.raises(RuntimeError):
            world.payouts().settle()
    assert world.payouts().roots() == []
    assert world.payouts().settle().state == "final"


def test_a_crash_after_the_chain_said_yes_ends_with_one_final_root(world, monkeypatch):
    earn(world, ADA, 5, "a")
    made = world.payouts()
    with monkeypatch.context() as broken:
        broken.setattr(type(made), "_mark", lambda *_: (_ for _ in ()).throw(RuntimeError("the power went")))
        with pytest.raises(RuntimeError):
            made.settle()
    assert len(world.vault.roots) == 1
    world.log_size += 1  # the log goes on meanwhile; the root keeps the size that it was prepared with
    assert world.payouts().settle().state == "final"
    assert len(world.vault.roots) == 1


def test_a_root_with_a_delay_pays_only_when_it_is_final(world):
    world.vault.delay = True
    earn(world, ADA, 5, "a")
    made = world.payouts()
    assert made.settle().state == "proposed"
    with pytest.raises(NothingSettledError):
        made.claim(ADA)
    earn(world, ADA, 1, "b")
    assert world.payouts().settle().total_wei == 5
    world.vault.delay = False
    assert world.payouts().settle().total_wei == 6
    assert [one.state for one in world.payouts().roots()] == ["final", "final"]


def test_a_voided_root_is_never_proposed_again(world):
    world.vault.delay = True
    earn(world, ADA, 5, "a")
    world.payouts().settle()
    world.vault.become(RootState.VOID)
    with pytest.raises(RootVoidError):
        world.payouts().settle()
    assert world.payouts().settled(ADA) == 0
    earn(world, BOB, 1, "correction")
    world.vault.delay = False
    assert world.payouts().settle().total_wei == 6
    assert world.payouts().claim(ADA).amount_wei == 5


def test_a_database_and_a_vault_that_are_not_each_others_are_refused(world):
    earn(world, ADA, 5, "a")
    world.payouts().settle()
    world.payouts().reconcile()
    world.vault = DictVault()
    with pytest.raises(WrongVaultError, match="another vault"):
        world.payouts().reconcile()


@pytest.mark.parametrize("root", ["", "../../etc/passwd", "0x" + "00" * 32])
def test_only_published_roots_are_read(world, root):
    with pytest.raises(UnknownRootError):
        world.payouts().document(root)


def test_a_root_anchors_the_log_as_it_is(world):
    log = Log(LogKey("armshare.test/log", Ed25519PrivateKey.generate()))
    with world.database() as db, db.begin():
        db.add(LogHead(log=0, size=0))
    with world.database() as db, db.begin():
        log.append(db, "e1", bytes(32), 1)
    assert log_head(world.database, log) == (1, merkle.leaf_hash(bytes(32)))


def test_a_real_vault_pays_what_the_ledger_says(quick: WholeChain, tmp_path: Path):
    world = make_world(tmp_path, quick, quick.deployment.domain)
    earn(world, ADA, 300, "a")
    world.payouts().settle()
    earn(world, ADA, 50, "b")
    earn(world, BOB, 7, "c")
    root = world.payouts().settle()
    assert (root.state, root.index, root.total_wei) == ("final", 1, 357)
    paid = world.payouts().claim(ADA)
    assert (paid.amount_wei, paid.wallet_wei) == (350, 350)
    with pytest.raises(NothingToClaimError):
        world.payouts().claim(ADA)
    world.payouts().reconcile()
    world.database.kw["bind"].dispose()


def test_a_real_root_that_was_mined_and_not_marked_is_found(quick: WholeChain, tmp_path: Path, monkeypatch):
    world = make_world(tmp_path, quick, quick.deployment.domain)
    earn(world, ADA, 300, "a")
    with monkeypatch.context() as broken:
        broken.setattr(payouts.Payouts, "_mark", lambda *_: (_ for _ in ()).throw(RuntimeError("the power went")))
        with pytest.raises(RuntimeError):
            world.payouts().settle()
    assert world.payouts().settle().state == "final"
    assert len(quick.roots()) == 1
    world.database.kw["bind"].dispose()
