"""The payout tree: anybody can rebuild it, and nobody can bend it."""

from __future__ import annotations

import itertools
import json

import pytest
import rfc8785
from eth_utils.address import to_checksum_address
from hypothesis import assume, given
from hypothesis import strategies as st

from rewards.ledger.settle import (
    IllegalMoveError,
    PayoutDocumentError,
    PayoutError,
    PayoutTree,
    RootState,
    build_tree,
    leaf,
    publish,
    read_payout,
    rebuild_root,
    require_growth,
)
from tests.rewards import stranger

VAULT = to_checksum_address("0x" + "11" * 20)
ALICE = to_checksum_address("0x" + "a1" * 20)
BOB = to_checksum_address("0x" + "b0" * 20)
CAROL = to_checksum_address("0x" + "ca" * 20)

accounts = st.binary(min_size=20, max_size=20).map(to_checksum_address)
amounts = st.integers(0, 2**90)
payouts = st.dictionaries(accounts, amounts, min_size=1, max_size=40)
trees = st.builds(build_tree, st.integers(1, 2**53 - 1), accounts, payouts)


@given(trees)
def test_every_account_has_a_proof_that_holds(tree: PayoutTree) -> None:
    for account, amount in tree.cumulative.items():
        digest = leaf(tree.chain_id, tree.vault, account, amount)
        assert stranger.climbs(tree.root, digest, tree.proof(account))
        assert len(tree.proof(account)) <= len(tree.cumulative).bit_length()


@given(trees)
def test_a_stranger_who_shares_no_code_finds_the_same_root(tree: PayoutTree) -> None:
    assert stranger.root_of(publish(tree)) == "0x" + tree.root.hex()
    for account, amount in tree.cumulative.items():
        digest = stranger.leaf_of(tree.chain_id, tree.vault, account, amount)
        assert stranger.climbs(tree.root, digest, tree.proof(account))


@given(trees, st.data())
def test_a_changed_amount_never_verifies(tree: PayoutTree, data: st.DataObject) -> None:
    account = data.draw(st.sampled_from(sorted(tree.cumulative)))
    amount = data.draw(amounts)
    assume(amount != tree.cumulative[account])
    assert not stranger.climbs(tree.root, leaf(tree.chain_id, tree.vault, account, amount), tree.proof(account))


@given(trees, accounts, st.data())
def test_another_account_never_verifies(tree: PayoutTree, thief: str, data: st.DataObject) -> None:
    account = data.draw(st.sampled_from(sorted(tree.cumulative)))
    assume(thief != account)
    digest = leaf(tree.chain_id, tree.vault, thief, tree.cumulative[account])
    assert not stranger.climbs(tree.root, digest, tree.proof(account))


@given(trees)
def test_a_leaf_of_another_chain_or_vault_never_verifies(tree: PayoutTree) -> None:
    for account, amount in tree.cumulative.items():
        proof = tree.proof(account)
        assert not stranger.climbs(tree.root, leaf(tree.chain_id + 1, tree.vault, account, amount), proof)
        other = to_checksum_address(bytes(byte ^ 1 for byte in bytes.fromhex(tree.vault[2:])))
        assert not stranger.climbs(tree.root, leaf(tree.chain_id, other, account, amount), proof)


@given(payouts, st.randoms())
def test_the_order_of_the_accounts_does_not_matter(payout: dict[str, int], random: st.random.Random) -> None:
    shuffled = list(payout.items())
    random.shuffle(shuffled)
    assert publish(build_tree(1, VAULT, payout)) == publish(build_tree(1, VAULT, dict(shuffled)))


@given(trees)
def test_the_published_json_alone_rebuilds_the_tree(tree: PayoutTree) -> None:
    document = publish(tree)
    assert rebuild_root(document) == tree.root
    assert read_payout(document) == tree
    assert rfc8785.dumps(json.loads(document)) == document


@given(trees, st.data())
def test_a_published_json_with_one_amount_changed_is_refused(tree: PayoutTree, data: st.DataObject) -> None:
    fields = json.loads(publish(tree))
    account = data.draw(st.sampled_from(sorted(tree.cumulative)))
    fields["cumulative"][account] = str(tree.cumulative[account] + 1)
    with pytest.raises(PayoutDocumentError, match="its root is"):
        read_payout(json.dumps(fields))


def test_the_format_never_drifts() -> None:
    tree = build_tree(31337, VAULT, {ALICE: 10**18, BOB: 0, CAROL: 2**80})
    root = "0x6fbbb20c80909d36fc9e8f0de694538a4fd7246aaa3df549911f1da01c7f7e6f"
    assert publish(tree).decode() == (
        '{"chain_id":31337,"cumulative":{'
        f'"{ALICE}":"1000000000000000000","{BOB}":"0","{CAROL}":"1208925819614629174706176"}},'
        f'"format":"armshare-payout/1","root":"{root}","total":"1208926819614629174706176","vault":"{VAULT}"}}'
    )


def test_a_single_account_needs_no_siblings() -> None:
    tree = build_tree(1, VAULT, {ALICE: 5})
    assert tree.proof(ALICE) == ()
    assert tree.root == leaf(1, VAULT, ALICE, 5)


def test_a_stranger_to_the_payout_has_no_proof() -> None:
    with pytest.raises(PayoutError, match="is not in the payout"):
        build_tree(1, VAULT, {ALICE: 5}).proof(BOB)


@pytest.mark.parametrize(
    ("chain_id", "vault", "cumulative", "message"),
    [
        (0, VAULT, {ALICE: 1}, "chain id"),
        (True, VAULT, {ALICE: 1}, "chain id"),
        (2**53, VAULT, {ALICE: 1}, "chain id"),
        (1, VAULT, {}, "at least one account"),
        (1, ALICE.lower(), {ALICE: 1}, "checksummed"),
        (1, VAULT, {ALICE.lower(): 1}, "checksummed"),
        (1, VAULT, {"": 1}, "checksummed"),
        (1, VAULT, {ALICE: -1}, "whole number of wei"),
        (1, VAULT, {ALICE: 1.5}, "whole number of wei"),
        (1, VAULT, {ALICE: True}, "whole number of wei"),
        (1, VAULT, {ALICE: 2**128 - 1, BOB: 1}, "2\\^128 - 1"),
    ],
)
def test_a_payout_that_no_vault_could_pay_is_refused(
    chain_id: int, vault: str, cumulative: dict[str, int], message: str
) -> None:
    with pytest.raises(PayoutError, match=message):
        build_tree(chain_id, vault, cumulative)


def _edited(**changes: object) -> str:
    return json.dumps(json.loads(publish(build_tree(1, VAULT, {ALICE: 5, BOB: 6}))) | changes)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "as JSON"),
        ("[" * 2000, "as JSON"),
        (b"\xff", "as JSON"),
        ("[]", "an object of"),
        ("{}", "an object of"),
        (_edited(extra=1), "an object of"),
        (_edited(cumulative=[]), "an object of"),
        (_edited(format="armshare-payout/2"), "expected the format"),
        (_edited(total="12"), "its total is '12'"),
        (_edited(root="0x00"), "its root is '0x00'"),
        (_edited(chain_id=2), "its root is"),
        (_edited(chain_id="1"), "chain id"),
        (_edited(vault=[]), "checksummed"),
        (_edited(cumulative={ALICE: 5, BOB: "6"}), "decimal string"),
        (_edited(cumulative={ALICE: "05", BOB: "6"}), "decimal string"),
        (_edited(cumulative={ALICE: "-5", BOB: "6"}), "decimal string"),
        (_edited(cumulative={ALICE: "5e0", BOB: "6"}), "decimal string"),
        (_edited(cumulative={ALICE: "\u0665", BOB: "6"}), "decimal string"),
        (_edited(cumulative={ALICE: "9" * 5000}), "decimal string"),
        (_edited().replace(BOB, ALICE), "occurs twice"),
    ],
)
def test_a_document_that_is_no_payout_is_refused_with_a_reason(document: str | bytes, message: str) -> None:
    with pytest.raises(PayoutDocumentError, match=message):
        read_payout(document)


def test_what_was_earned_stays_earned() -> None:
    require_growth({ALICE: 5}, {ALICE: 5, BOB: 1})
    for fallen in ({ALICE: 4}, {BOB: 9}):
        with pytest.raises(PayoutError, match="cannot fall from 5"):
            require_growth({ALICE: 5}, fallen)


def test_a_root_moves_only_as_the_vault_allows() -> None:
    legal = {
        ("proposed", "disputed"),
        ("proposed", "final"),
        ("disputed", "void"),
        ("disputed", "upheld"),
        ("upheld", "final"),
    }
    for state, wanted in itertools.product(RootState, RootState):
        if (state, wanted) in legal:
            assert state.move(wanted) is wanted
        else:
            with pytest.raises(IllegalMoveError, match=f"a root that is {state} cannot become {wanted}"):
                state.move(wanted)
