"""Promises of what is kept and told of a payout: whole, in order, from the right root, and never of another vault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from rewards.chain.payouts import (
    NothingSettledError,
    Paid,
    Payouts,
    Root,
    RootVoidError,
    UnknownRootError,
    WrongVaultError,
)
from rewards.chain.vault import ChainUnreachableError, NothingToClaimError, VaultRefusedError
from rewards.ledger import ledger
from rewards.ledger.settle import PayoutError, RootState, read_payout
from rewards.tables import LeafRow, PostingRow, RootRow
from tests.databases import unguard
from tests.rewards.chain.test_payouts import earn
from tests.rewards.stranger import root_of
from tests.rewards.world import ADA, BOB, DictVault, World, make_world

pytestmark = pytest.mark.usefixtures("either_database")

SENT = "0x" + "01" * 32
"""The transaction with which a `DictVault` took a root."""


class Wallets(DictVault):
    """A vault whose people held tokens before."""

    def balance_of(self, account: str) -> int:
        """Wei in the wallet."""
        return self.claimed(account) + 100


@pytest.fixture
def vault() -> DictVault:
    """A vault in memory, without a delay."""
    return Wallets()


@pytest.fixture
def world(tmp_path: Path, vault: DictVault) -> Iterator[World]:
    """A hub with an empty ledger and that vault."""
    made = make_world(tmp_path, vault)
    yield made
    made.database.kw["bind"].dispose()


def payouts(world: World, folder: str = "roots") -> Payouts:
    """Return payouts at a time, and with a log, that are nobody else's."""
    return Payouts(
        world.database, world.vault, world.domain, world.folder / folder, lambda: (7, b"\x07" * 32), lambda: 1234
    )


def leaves(world: World) -> list[tuple[str, int, int]]:
    """Return (address, position, wei) of every leaf that is kept."""
    with world.database() as db:
        rows = db.scalars(select(LeafRow).order_by(LeafRow.position, LeafRow.cumulative_wei)).all()
    return [(row.address, row.position, row.cumulative_wei) for row in rows]


def test_a_root_is_told_whole_and_a_stranger_rebuilds_it(world: World, vault: DictVault) -> None:
    earn(world, ADA, 5, "a")
    earn(world, BOB, 7, "b")
    made = payouts(world)
    root = made.settle()
    assert root is not None
    assert root == Root(1, root.root, 0, 12, 2, "final", SENT, 1234)
    assert root_of(made.document(root.root)) == root.root == "0x" + vault.roots[0].root.hex()
    assert made.roots() == [root]
    with world.database() as db:
        row = db.get_one(RootRow, 1)
    assert (row.log_size, row.log_hash) == (7, "0x" + "07" * 32)
    assert (vault.roots[0].log_size, vault.roots[0].log_hash, vault.roots[0].total) == (7, b"\x07" * 32, 12)


def test_a_root_that_the_chain_does_not_have_yet_is_told_without_a_place(world: World, vault: DictVault) -> None:
    earn(world, ADA, 5, "a")
    vault.fail = "before"
    made = payouts(world)
    with pytest.raises(ChainUnreachableError):
        made.settle()
    (root,) = made.roots()
    assert root == Root(1, root.root, None, 5, 1, "prepared", None, 1234)
    assert root_of(made.document(root.root)) == root.root, "it is published before it is sent"
    made.reconcile()  # what the chain was never told is not missed there
    assert made.settled(ADA) == 0


def test_roots_are_numbered_told_newest_first_and_keep_only_the_leaves_that_rose(world: World) -> None:
    made = payouts(world)
    earn(world, ADA, 5, "a")
    made.settle()
    earn(world, BOB, 7, "b")
    newest = made.settle()
    earn(world, ADA, 1, "c")
    made.settle()
    told = [(root.position, root.index, root.total_wei, root.payees) for root in made.roots()]
    assert told == [(3, 2, 13, 2), (2, 1, 12, 2), (1, 0, 5, 1)]
    assert newest == made.roots()[1]
    assert made.settle() == payouts(world).settle() == made.roots()[0], "if nothing changed, the newest is told"
    assert leaves(world) == [(ADA, 1, 5), (BOB, 2, 7), (ADA, 3, 6)]
    assert [made.settled(who) for who in (ADA, BOB, "0x" + "11" * 20)] == [6, 7, 0]


def test_payouts_are_published_in_a_folder_that_is_made_if_it_is_not_there(world: World) -> None:
    earn(world, ADA, 5, "a")
    made = payouts(world, "published/of/this/vault")
    root = made.settle()
    assert root is not None
    assert dict(read_payout(made.document(root.root)).cumulative) == {ADA: 5}
    assert [file.name for file in (world.folder / "published/of/this/vault").iterdir()] == [f"{root.root}.json"]


def test_a_claim_is_told_whole_and_so_are_balances(world: World) -> None:
    made = payouts(world)
    assert made.chain_balances(ADA) == (0, 100)
    earn(world, ADA, 5, "a")
    made.settle()
    assert made.claim(ADA) == Paid("0x" + "02" * 32, 5, 5, 105)
    assert (made.chain_balances(ADA), made.chain_balances(BOB)) == ((5, 105), (0, 100))
    assert made.settled(ADA) == 5, "claimed or not"
    with pytest.raises(NothingSettledError, match=BOB):
        made.claim(BOB)


def test_while_a_newer_root_waits_the_newest_final_one_pays(world: World, vault: DictVault) -> None:
    made = payouts(world)
    earn(world, ADA, 5, "a")
    earn(world, BOB, 7, "b")
    made.settle()
    vault.delay = True
    earn(world, ADA, 20, "c")
    waiting = made.settle()
    assert waiting is not None
    assert (waiting.state, waiting.index, waiting.total_wei) == ("proposed", 1, 32)
    assert made.settled(ADA) == 5
    assert made.claim(ADA).amount_wei == 5
    with pytest.raises(NothingToClaimError):
        made.claim(ADA)
    vault.delay = False
    assert made.settle() == made.roots()[0]
    assert (made.claim(ADA).amount_wei, payouts(world).claim(BOB).amount_wei) == (20, 7)


def test_a_claim_is_proven_under_the_newest_root_whoever_settled_it(world: World) -> None:
    mine, other = payouts(world), payouts(world)
    earn(world, ADA, 5, "a")
    mine.settle()
    assert mine.claim(ADA).amount_wei == 5
    earn(world, BOB, 7, "b")
    earn(world, ADA, 1, "c")
    other.settle()
    assert (mine.claim(ADA).amount_wei, mine.claim(BOB).amount_wei) == (1, 7)


def test_a_root_that_another_process_prepared_is_sent_as_it_was_prepared(world: World, vault: DictVault) -> None:
    mine, other = payouts(world), payouts(world)
    earn(world, ADA, 5, "a")
    mine.settle()
    earn(world, BOB, 7, "b")
    vault.fail = "before"
    with pytest.raises(ChainUnreachableError):
        other.settle()
    prepared = other.roots()[0]
    sent = mine.settle()
    assert sent is not None
    assert (sent.root, sent.state) == (prepared.root, "final")
    assert "0x" + vault.roots[1].root.hex() == prepared.root


@pytest.mark.parametrize("state", [RootState.DISPUTED, RootState.UPHELD])
def test_a_disputed_root_is_shown_as_the_chain_has_it_and_holds_up_the_next(
    world: World, vault: DictVault, state: RootState
) -> None:
    vault.delay = True
    earn(world, ADA, 5, "a")
    made = payouts(world)
    proposed = made.settle()
    earn(world, ADA, 1, "b")
    vault.become(state)
    shown = made.settle()
    assert proposed is not None
    assert shown == Root(1, proposed.root, 0, 5, 1, state.value, SENT, 1234)
    assert len(vault.roots) == len(made.roots()) == 1
    vault.become(RootState.FINAL)
    assert made.settle() == made.roots()[0]
    assert [(root.total_wei, root.state) for root in made.roots()] == [(6, "proposed"), (5, "final")]


def test_a_root_that_a_dispute_voided_is_not_recorded_again_either(world: World, vault: DictVault) -> None:
    vault.delay = True
    earn(world, ADA, 5, "a")
    root = payouts(world).settle()
    vault.become(RootState.VOID)
    assert root is not None
    for _ in range(2):
        with pytest.raises(RootVoidError, match=root.root):
            payouts(world).settle()
    assert [(one.root, one.state) for one in payouts(world).roots()] == [(root.root, "void")]
    with pytest.raises(NothingSettledError):
        payouts(world).claim(ADA)


def test_books_in_which_earnings_fell_lead_to_no_root(world: World) -> None:
    made = payouts(world)
    earn(world, ADA, 5, "a")
    made.settle()
    with world.database() as db, db.begin():
        unguard(db, "ledger_postings")
        fallen = update(PostingRow).where(PostingRow.account == ledger.operator(ADA))
        db.execute(fallen.values(balance_wei=4, amount_wei=4))
    with pytest.raises(PayoutError, match="cannot fall from 5 to 4"):
        made.settle()
    assert len(made.roots()) == 1


def test_only_operators_are_payees(world: World) -> None:
    deposit = ledger.transfer("deposit:1", "deposit", ledger.VAULT, ledger.pool("lift"), 50, 1)
    ledger.write(world.database, lambda db: ledger.post(db, deposit))
    assert payouts(world).settle() is None
    assert payouts(world).roots() == []
    earn(world, ADA, 5, "a")
    root = payouts(world).settle()
    assert root is not None
    assert (root.total_wei, root.payees) == (5, 1)


# --- a database and a vault that do not belong together


def test_a_vault_that_has_another_root_in_that_place_is_refused_with_both(world: World) -> None:
    earn(world, ADA, 5, "a")
    root = payouts(world).settle()
    other = DictVault()
    stranger = make_world(world.folder / "elsewhere", other)
    earn(stranger, BOB, 9, "b")
    payouts(stranger).settle()
    stranger.database.kw["bind"].dispose()
    world.vault = other
    assert root is not None
    with pytest.raises(WrongVaultError) as refused:
        payouts(world).reconcile()
    assert f"expected root {root.root} at 0 of the vault {world.domain.vault}" in str(refused.value)
    assert f"got 0x{other.roots[0].root.hex()}:" in str(refused.value)


def test_a_vault_that_lacks_the_root_is_refused_in_its_own_words(world: World) -> None:
    earn(world, ADA, 5, "a")
    payouts(world).settle()
    world.vault = DictVault()
    with pytest.raises(VaultRefusedError) as words:
        world.vault.root_at(0)
    with pytest.raises(WrongVaultError) as refused:
        payouts(world).reconcile()
    assert f"got {words.value}:" in str(refused.value)


def test_a_database_without_roots_belongs_to_every_vault(world: World) -> None:
    payouts(world).reconcile()


def test_a_root_that_lost_its_place_in_the_vault_moves_no_further(world: World, vault: DictVault) -> None:
    vault.delay = True
    earn(world, ADA, 5, "a")
    root = payouts(world).settle()
    with world.database() as db, db.begin():
        db.execute(update(RootRow).values(chain_index=None))
    assert root is not None
    with pytest.raises(WrongVaultError, match=f"root {root.root} is proposed without a place"):
        payouts(world).settle()


def test_a_final_root_without_a_place_pays_nothing(world: World) -> None:
    earn(world, ADA, 5, "a")
    payouts(world).settle()
    with world.database() as db, db.begin():
        db.execute(update(RootRow).values(chain_index=None))
    with pytest.raises(NothingSettledError, match=ADA):
        payouts(world).claim(ADA)


def test_an_unknown_root_is_said_in_at_most_eighty_letters(world: World) -> None:
    with pytest.raises(UnknownRootError) as refused:
        payouts(world).document("x" * 81)
    assert str(refused.value).endswith(f"got {'x' * 80!r}")
