"""The vault on a real chain: who is paid, how much, and what nobody can make it do."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from web3 import Web3

from rewards.chain.anvil import EmbeddedChain
from rewards.chain.vault import (
    ChainError,
    ChainUnreachableError,
    Deployment,
    DeploymentError,
    NothingToClaimError,
    VaultRefusedError,
    VaultTerms,
    artifact,
)
from rewards.ledger.settle import PayoutTree, RootState, build_tree, leaf
from teleop.identity import new_key
from tests.rewards.conftest import BOND_WEI, DELAY_S, Cast, Node, as_
from tests.rewards.whole_chain import Payout, WholeChain

ALICE, BOB, CAROL = (new_key().address for _ in range(3))
WHY = keccak(text="episode 7 was scored twice")
CONTRACTS = Path(__file__).parents[3] / "rewards" / "chain" / "contracts"


def tree_for(chain: WholeChain, **earned: int) -> PayoutTree:
    """Build a payout on the chain's vault for alice=, bob=, carol=."""
    names = {"alice": ALICE, "bob": BOB, "carol": CAROL}
    here = chain.deployment
    return build_tree(here.chain_id, here.vault, {names[name]: amount for name, amount in earned.items()})


def settle(chain: WholeChain, **earned: int) -> tuple[PayoutTree, int]:
    """Publish a payout; return it and its root's index."""
    tree = tree_for(chain, **earned)
    return tree, chain.propose_and_finalize(tree).index


def claim(chain: WholeChain, tree: PayoutTree, account: str, index: int) -> int:
    """Relay one claim; return what was paid."""
    return chain.claim(account, tree.cumulative[account], tree.proof(account), index).amount


def refused(error: str) -> pytest.RaisesExc[VaultRefusedError]:
    """Expect the contract to refuse for this reason."""
    return pytest.raises(VaultRefusedError, check=lambda refusal: refusal.error == error)


# --- pay ---


def test_a_claim_pays_what_was_earned(quick: WholeChain) -> None:
    tree, index = settle(quick, alice=70, bob=30)
    assert claim(quick, tree, ALICE, index) == 70
    assert (quick.balance_of(ALICE), quick.claimed(ALICE), quick.total_claimed()) == (70, 70, 70)
    assert quick.owed() == 30


def test_a_claim_made_twice_pays_once(quick: WholeChain) -> None:
    tree, index = settle(quick, alice=70)
    claim(quick, tree, ALICE, index)
    with pytest.raises(NothingToClaimError, match=f"{ALICE} has earned 70 wei and claimed 70 wei"):
        claim(quick, tree, ALICE, index)
    assert quick.balance_of(ALICE) == 70


def test_the_contract_itself_refuses_a_second_claim(quick: WholeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, index = settle(quick, alice=70)
    claim(quick, tree, ALICE, index)
    answers = iter([0, 70])  # a stale first read, as where somebody else claims in between
    monkeypatch.setattr(quick, "claimed", lambda _account: next(answers))
    with pytest.raises(NothingToClaimError):
        claim(quick, tree, ALICE, index)
    assert quick.total_claimed() == 70


def test_a_later_root_pays_only_the_difference(quick: WholeChain) -> None:
    first, one = settle(quick, alice=70)
    claim(quick, first, ALICE, one)
    second, two = settle(quick, alice=100, bob=5)
    assert claim(quick, second, ALICE, two) == 30
    assert quick.balance_of(ALICE) == 100


def test_an_old_proof_still_pays_after_a_newer_root(quick: WholeChain) -> None:
    first, one = settle(quick, alice=70)
    second, two = settle(quick, alice=100)
    assert claim(quick, first, ALICE, one) == 70
    assert claim(quick, second, ALICE, two) == 30
    with pytest.raises(NothingToClaimError):
        claim(quick, first, ALICE, one)


def test_only_the_account_is_paid_whoever_calls(quick: WholeChain, cast: Cast, anvil: EmbeddedChain) -> None:
    tree, index = settle(quick, alice=70)
    thief = as_(cast.stranger, quick, anvil)
    assert claim(thief, tree, ALICE, index) == 70
    assert (thief.balance_of(ALICE), thief.balance_of(thief.address)) == (70, 0)


def test_a_changed_amount_or_another_account_is_refused(quick: WholeChain) -> None:
    tree, index = settle(quick, alice=70, bob=30)
    for account, amount in ((ALICE, 71), (ALICE, 69), (BOB, 70), (CAROL, 70)):
        with refused("InvalidProof"):
            quick.claim(account, amount, tree.proof(ALICE), index)
    with refused("InvalidProof"):
        quick.claim(ALICE, 70, [], index)
    assert quick.total_claimed() == 0


def test_a_proof_for_another_vault_is_refused(quick: WholeChain, slow: WholeChain) -> None:
    quick.deposit(0)
    elsewhere = tree_for(slow, alice=70)
    with pytest.raises(ChainError, match=f"the payout is for vault {elsewhere.vault}"):
        quick.propose_and_finalize(elsewhere)
    _, index = settle(quick, alice=70)
    assert leaf(elsewhere.chain_id, elsewhere.vault, ALICE, 70) != quick.root_at(index).root


def test_a_claim_on_a_root_that_is_not_there_is_refused(quick: WholeChain) -> None:
    tree, _ = settle(quick, alice=70)
    with refused("UnknownRoot"):
        claim(quick, tree, ALICE, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100])
def test_every_proof_of_a_tree_of_any_size_is_accepted(quick: WholeChain, count: int) -> None:
    everybody = {Web3.to_checksum_address(keccak(number.to_bytes(8, "big"))[:20]): number for number in range(count)}
    tree = build_tree(quick.deployment.chain_id, quick.deployment.vault, everybody)
    quick.deposit(tree.total)
    index = quick.propose_and_finalize(tree).index
    payouts = [Payout(account, amount, tree.proof(account)) for account, amount in everybody.items()]
    paid = {one.account: one.amount for one in quick.claim_many(payouts, index)}
    assert paid == {account: amount for account, amount in everybody.items() if amount}
    assert quick.total_claimed() == tree.total


def test_many_claims_in_one_transaction_pass_over_those_who_were_paid(quick: WholeChain) -> None:
    tree, index = settle(quick, alice=70, bob=30, carol=9)
    claim(quick, tree, BOB, index)
    payouts = [Payout(account, amount, tree.proof(account)) for account, amount in tree.cumulative.items()]
    claims = quick.claim_many(payouts, index)
    assert sorted((one.account, one.amount) for one in claims) == sorted([(ALICE, 70), (CAROL, 9)])
    assert quick.claim_many(payouts, index) == ()


def test_a_false_proof_among_many_stops_them_all(quick: WholeChain) -> None:
    tree, index = settle(quick, alice=70, bob=30)
    with refused("InvalidProof"):
        quick.claim_many([Payout(ALICE, 70, tree.proof(ALICE)), Payout(BOB, 31, tree.proof(BOB))], index)
    assert quick.total_claimed() == 0


def test_claims_can_be_found_by_account_from_the_chain_alone(quick: WholeChain, node: Node) -> None:
    tree, index = settle(quick, alice=70, bob=30)
    for account in (ALICE, BOB):
        claim(quick, tree, account, index)
    topics = ["0x" + keccak(text="Claimed(address,uint256,uint256,uint256)").hex(), "0x" + ALICE[2:].zfill(64)]
    logs = node("eth_getLogs", {"fromBlock": "0x0", "address": quick.deployment.vault, "topics": topics})
    assert [int(log["data"][2:66], 16) for log in logs] == [70]


def test_what_a_claim_costs(quick: WholeChain, node: Node) -> None:
    everybody = [Web3.to_checksum_address(keccak(number.to_bytes(8, "big"))[:20]) for number in range(1000)]
    quick.deposit(10_000)

    def cost(account: str, amount: int) -> int:
        tree = build_tree(quick.deployment.chain_id, quick.deployment.vault, dict.fromkeys(everybody, amount))
        index = quick.propose_and_finalize(tree).index
        return node.gas_of(quick.claim(account, amount, tree.proof(account), index).transaction)

    one, two = everybody[:2]
    assert cost(one, 1) < 121_000  # the vault's very first
    assert cost(two, 1) < 104_000  # an account's first
    assert cost(one, 2) < 70_000  # every later one
    assert cost(one, 3) < 70_000


def test_the_leaf_off_chain_is_the_leaf_on_chain(quick: WholeChain, node: Node) -> None:
    here = quick.deployment
    call = keccak(text="leaf(address,uint256)")[:4].hex() + ALICE[2:].zfill(64) + f"{70:064x}"
    answer = node("eth_call", {"to": here.vault, "data": "0x" + call}, "latest")
    assert answer == "0x" + leaf(here.chain_id, here.vault, ALICE, 70).hex()


# --- what a publisher cannot do ---


def test_a_root_beyond_the_balance_is_refused(quick: WholeChain) -> None:
    with refused("Insolvent") as caught:
        settle(quick, alice=1001)
    assert "would owe 1001 wei and holds 1000; deposit more first" in str(caught.value)
    quick.deposit(1)
    tree, index = settle(quick, alice=1001)
    assert claim(quick, tree, ALICE, index) == 1001


def test_what_was_claimed_needs_no_cover_again(quick: WholeChain) -> None:
    tree, index = settle(quick, alice=1000)
    claim(quick, tree, ALICE, index)
    with refused("Insolvent"):
        settle(quick, alice=1001)
    quick.deposit(5)
    tree, index = settle(quick, alice=1005)
    assert claim(quick, tree, ALICE, index) == 5


def test_a_total_that_falls_is_refused(quick: WholeChain) -> None:
    settle(quick, alice=70)
    with refused("TotalFell"):
        settle(quick, alice=69)


def test_an_episode_log_that_shrinks_is_refused(quick: WholeChain) -> None:
    quick.propose_and_finalize(tree_for(quick, alice=1), log_size=9, log_hash=WHY)
    with refused("LogShrank"):
        quick.propose_and_finalize(tree_for(quick, alice=2), log_size=8, log_hash=WHY)
    newest = quick.newest_final()
    assert newest
    assert (newest.log_size, newest.log_hash) == (9, WHY)


def test_a_root_that_holds_more_than_its_total_pays_no_more_than_that(quick: WholeChain) -> None:
    honest = tree_for(quick, alice=70, bob=30)
    lying = dataclasses.replace(honest, cumulative={ALICE: 70})  # the root of 100 wei, proposed as 70
    index = quick.propose_and_finalize(lying).index
    claim(quick, honest, BOB, index)
    with refused("ExceedsTotal"):
        claim(quick, honest, ALICE, index)
    assert quick.total_claimed() == 30


def test_only_the_publisher_proposes(quick: WholeChain, cast: Cast, anvil: EmbeddedChain) -> None:
    for key in (cast.stranger, cast.guardian, cast.arbiter):
        with refused("AccessControlUnauthorizedAccount") as caught:
            settle(as_(key, quick, anvil), alice=70)
        assert caught.value.arguments["account"] == key.address


@pytest.mark.parametrize("role", ["PUBLISHER_ROLE", "ARBITER_ROLE"])
def test_nobody_both_publishes_and_judges(quick: WholeChain, cast: Cast, node: Node, role: str) -> None:
    account = cast.arbiter if role == "PUBLISHER_ROLE" else cast.hub
    data = keccak(text="grantRole(bytes32,address)")[:4] + keccak(text=role) + bytes(12)
    data += bytes.fromhex(account.address[2:])
    transaction = {"from": cast.hub.address, "to": quick.deployment.vault, "data": "0x" + data.hex()}
    with pytest.raises(AssertionError, match="0x" + keccak(text="PublisherAndArbiter(address)")[:4].hex()):
        node("eth_estimateGas", transaction)


def test_a_vault_is_never_made_with_one_publisher_and_arbiter(
    anvil: EmbeddedChain, cast: Cast, tmp_path: Path, untouched: None
) -> None:
    chain = WholeChain.connect(anvil.url, cast.hub)
    with refused("PublisherAndArbiter"):
        chain.deploy_once(tmp_path / "vault.json", VaultTerms(arbiter=cast.hub.address))
    assert not (tmp_path / "vault.json").exists()


def test_an_empty_root_is_refused(quick: WholeChain) -> None:
    empty = dataclasses.replace(tree_for(quick, alice=70), nodes=(bytes(32),))
    with refused("EmptyRoot"):
        quick.propose_and_finalize(empty)


def test_the_newest_final_root_is_the_last_one_that_became_final(quick: WholeChain) -> None:
    assert quick.newest_final() is None
    for amount in (1, 2, 3):
        tree, index = settle(quick, alice=amount)
        newest = quick.newest_final()
        assert newest
        assert (newest.index, newest.root) == (index, tree.root)


# --- disputes ---


def test_a_root_before_its_delay_pays_nobody(slow: WholeChain, node: Node) -> None:
    tree = tree_for(slow, alice=70)
    settlement = slow.propose_and_finalize(tree)
    assert settlement.state is RootState.PROPOSED
    with refused("WrongState") as caught:
        claim(slow, tree, ALICE, settlement.index)
    assert "root 0 is in state proposed, expected final" in str(caught.value)
    node.pass_time(DELAY_S)
    final = slow.finalize_due()
    assert final
    assert final.state is RootState.FINAL
    assert claim(slow, tree, ALICE, settlement.index) == 70


def test_anyone_may_finalize(slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain) -> None:
    index = slow.propose_and_finalize(tree_for(slow, alice=70)).index
    node.pass_time(DELAY_S)
    as_(cast.stranger, slow, anvil).finalize_due()
    assert slow.root_at(index).state is RootState.FINAL


def test_one_root_waits_at_a_time(slow: WholeChain, node: Node) -> None:
    settle(slow, alice=70)
    with refused("RootPending"):
        settle(slow, alice=80)
    node.pass_time(DELAY_S)
    slow.propose_and_finalize(tree_for(slow, alice=80))
    assert [root.state for root in slow.roots()] == [RootState.FINAL, RootState.PROPOSED]


def test_a_disputed_root_pays_nobody_until_upheld(
    slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain
) -> None:
    tree, index = settle(slow, alice=70)
    as_(cast.guardian, slow, anvil).dispute(index, WHY)
    node.pass_time(DELAY_S)
    assert slow.root_at(index).state is RootState.DISPUTED
    assert slow.propose_and_finalize(tree).state is RootState.DISPUTED
    with refused("WrongState"):
        claim(slow, tree, ALICE, index)
    as_(cast.arbiter, slow, anvil).resolve(index, upheld=True)
    assert slow.root_at(index).state is RootState.UPHELD
    with refused("WrongState"):
        claim(slow, tree, ALICE, index)
    slow.finalize_due()
    assert claim(slow, tree, ALICE, index) == 70


@pytest.mark.parametrize("state", [RootState.DISPUTED, RootState.VOID, RootState.FINAL])
def test_nobody_finalizes_a_root_that_is_not_due(
    slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain, state: RootState
) -> None:
    _, index = settle(slow, alice=70)
    if state is not RootState.FINAL:
        as_(cast.guardian, slow, anvil).dispute(index, WHY)
    if state is RootState.VOID:
        as_(cast.arbiter, slow, anvil).resolve(index, upheld=False)
    node.pass_time(DELAY_S)
    slow.finalize_due()
    assert slow.root_at(index).state is state
    finalize = "0x" + keccak(text="finalize(uint256)")[:4].hex() + f"{index:064x}"
    with pytest.raises(AssertionError, match="0x" + keccak(text="WrongState(uint256,uint8,uint8)")[:4].hex()):
        node("eth_estimateGas", {"from": cast.stranger.address, "to": slow.deployment.vault, "data": finalize})


def test_a_root_upheld_early_still_waits_for_its_delay(
    slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain
) -> None:
    _, index = settle(slow, alice=70)
    as_(cast.guardian, slow, anvil).dispute(index, WHY)
    as_(cast.arbiter, slow, anvil).resolve(index, upheld=True)
    slow.finalize_due()
    assert slow.root_at(index).state is RootState.UPHELD
    with refused("WrongState"):  # and it is not disputed a second time
        as_(cast.guardian, slow, anvil).dispute(index, WHY)


def test_a_void_root_never_pays_and_the_bond_returns(
    slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain
) -> None:
    _, index = settle(slow, alice=70)
    watcher = with_bond(slow, cast.stranger, node, anvil)
    watcher.dispute(index, WHY)
    assert watcher.balance_of(watcher.address) == 0
    as_(cast.arbiter, slow, anvil).resolve(index, upheld=False)
    assert watcher.balance_of(watcher.address) == BOND_WEI
    node.pass_time(DELAY_S)
    void = slow.finalize_due()
    assert void
    assert void.state is RootState.VOID
    assert slow.owed() == 0


def test_a_correction_follows_a_void_root(slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain) -> None:
    _, index = settle(slow, alice=70)
    as_(cast.guardian, slow, anvil).dispute(index, WHY)
    as_(cast.arbiter, slow, anvil).resolve(index, upheld=False)
    again, corrected = settle(slow, alice=60)
    node.pass_time(DELAY_S)
    slow.finalize_due()
    assert claim(slow, again, ALICE, corrected) == 60


def test_the_same_payout_can_be_proposed_again_after_it_was_void(
    slow: WholeChain, cast: Cast, anvil: EmbeddedChain
) -> None:
    tree, index = settle(slow, alice=70)
    as_(cast.guardian, slow, anvil).dispute(index, WHY)
    as_(cast.arbiter, slow, anvil).resolve(index, upheld=False)
    assert slow.propose_and_finalize(tree).index == index + 1


def test_a_lost_bond_stays_and_is_never_swept(slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain) -> None:
    _, index = settle(slow, alice=70)
    watcher = with_bond(slow, cast.stranger, node, anvil)
    watcher.dispute(index, WHY)
    assert slow.surplus() == 930
    as_(cast.arbiter, slow, anvil).resolve(index, upheld=True)
    assert slow.surplus() == 930
    slow.sweep(cast.hub.address, 930)
    assert slow.balance_of(slow.deployment.vault) == 70 + BOND_WEI
    with refused("ExceedsSurplus"):
        slow.sweep(cast.hub.address, 1)


def test_a_dispute_without_the_bond_is_refused(slow: WholeChain, cast: Cast, anvil: EmbeddedChain) -> None:
    _, index = settle(slow, alice=70)
    with refused("ERC20InsufficientAllowance"):
        as_(cast.stranger, slow, anvil).dispute(index, WHY)


def test_a_dispute_after_the_window_is_refused(slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain) -> None:
    _, index = settle(slow, alice=70)
    node.pass_time(DELAY_S)
    with refused("TooLate"):
        as_(cast.guardian, slow, anvil).dispute(index, WHY)


def test_only_the_arbiter_decides(slow: WholeChain, cast: Cast, anvil: EmbeddedChain) -> None:
    _, index = settle(slow, alice=70)
    as_(cast.guardian, slow, anvil).dispute(index, WHY)
    for key in (cast.hub, cast.guardian, cast.stranger):
        with refused("AccessControlUnauthorizedAccount"):
            as_(key, slow, anvil).resolve(index, upheld=True)


def with_bond(chain: WholeChain, key: LocalAccount, node: Node, anvil: EmbeddedChain) -> WholeChain:
    """Return the vault in the hands of somebody who can afford one dispute."""
    token = chain.deployment.token
    amount, vault = f"{BOND_WEI:064x}", chain.deployment.vault[2:].zfill(64)
    for sender, name, to in ((chain.address, "transfer", key.address[2:].zfill(64)), (key.address, "approve", vault)):
        node("anvil_impersonateAccount", sender)
        data = "0x" + keccak(text=f"{name}(address,uint256)")[:4].hex() + to + amount
        node("eth_sendTransaction", {"from": sender, "to": token, "data": data})
        node("anvil_stopImpersonatingAccount", sender)
    return as_(key, chain, anvil)


# --- keepers ---


def test_a_pause_stops_new_roots_but_no_claims(slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain) -> None:
    first, one = settle(slow, alice=70)
    node.pass_time(DELAY_S)
    slow.finalize_due()
    _, two = settle(slow, alice=80)
    as_(cast.guardian, slow, anvil).pause()
    node.pass_time(DELAY_S)
    slow.finalize_due()
    assert slow.root_at(two).state is RootState.PROPOSED
    assert claim(slow, first, ALICE, one) == 70
    slow.unpause()
    slow.finalize_due()
    assert slow.root_at(two).state is RootState.FINAL


def test_a_paused_vault_takes_no_proposal(quick: WholeChain, cast: Cast, anvil: EmbeddedChain) -> None:
    as_(cast.guardian, quick, anvil).pause()
    with refused("EnforcedPause"):
        settle(quick, alice=70)


def test_a_root_can_be_disputed_while_the_vault_is_paused(slow: WholeChain, cast: Cast, anvil: EmbeddedChain) -> None:
    _, index = settle(slow, alice=70)
    guardian = as_(cast.guardian, slow, anvil)
    guardian.pause()
    guardian.dispute(index, WHY)
    assert slow.root_at(index).state is RootState.DISPUTED


def test_only_the_surplus_can_be_swept(quick: WholeChain, cast: Cast) -> None:
    tree, index = settle(quick, alice=70)
    with refused("ExceedsSurplus"):
        quick.sweep(cast.hub.address, 931)
    quick.sweep(cast.hub.address, 930)
    assert claim(quick, tree, ALICE, index) == 70


def test_a_pending_root_is_reserved_too(slow: WholeChain, cast: Cast) -> None:
    settle(slow, alice=70)
    with refused("ExceedsSurplus"):
        slow.sweep(cast.hub.address, 931)


def test_a_stranger_neither_pauses_nor_sweeps(quick: WholeChain, cast: Cast, anvil: EmbeddedChain) -> None:
    stranger = as_(cast.stranger, quick, anvil)
    for forbidden in (stranger.pause, stranger.unpause, lambda: stranger.sweep(stranger.address, 1)):
        with refused("AccessControlUnauthorizedAccount"):
            forbidden()


def test_a_token_that_calls_back_is_paid_once(
    anvil: EmbeddedChain, node: Node, cast: Cast, tmp_path: Path, untouched: None
) -> None:
    source = Path(__file__).parent / "hostile" / "CallingToken.sol"
    command = ["node", str(CONTRACTS / "build.mjs"), "--source", str(source)]
    built = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)[0]
    token = _deploy_hostile(anvil.url, cast.hub, built)
    chain = WholeChain.connect(anvil.url, cast.hub)
    chain.deploy_once(tmp_path / "vault.json", VaultTerms(token=token.address))
    chain.deposit(1000)
    tree, index = settle(chain, alice=70)
    vault = Web3(Web3.HTTPProvider(anvil.url)).eth.contract(abi=artifact("RewardVault").abi)
    again = vault.encode_abi("claim", [index, ALICE, 70, tree.proof(ALICE)])
    token.functions.arm(chain.deployment.vault, again).transact({"from": cast.hub.address})
    node("anvil_stopImpersonatingAccount", cast.hub.address)
    assert claim(chain, tree, ALICE, index) == 70
    assert (token.functions.calls().call(), token.functions.successes().call()) == (1, 0)
    assert (chain.balance_of(ALICE), chain.total_claimed()) == (70, 70)


def _deploy_hostile(url: str, key: LocalAccount, built: dict[str, object]) -> object:
    web3 = Web3(Web3.HTTPProvider(url))
    web3.provider.make_request("anvil_impersonateAccount", [key.address])
    factory = web3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    sent = factory.constructor(key.address, 10_000).transact({"from": key.address})
    return web3.eth.contract(web3.eth.wait_for_transaction_receipt(sent)["contractAddress"], abi=built["abi"])


# --- the hub's hands ---


def test_threads_that_relay_the_same_claim_are_paid_once(quick: WholeChain) -> None:
    tree, index = settle(quick, alice=70)

    def relay(_number: int) -> int:
        try:
            return claim(quick, tree, ALICE, index)
        except NothingToClaimError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        paid = list(pool.map(relay, range(16)))
    assert sorted(paid) == [0] * 15 + [70]


def test_threads_that_relay_different_claims_all_succeed(quick: WholeChain) -> None:
    everybody = {new_key().address: number + 1 for number in range(20)}
    tree = build_tree(quick.deployment.chain_id, quick.deployment.vault, everybody)
    index = quick.propose_and_finalize(tree).index
    with ThreadPoolExecutor(8) as pool:
        paid = list(pool.map(lambda account: claim(quick, tree, account, index), everybody))
    assert paid == list(everybody.values())


def test_a_payout_published_twice_is_one_root(quick: WholeChain) -> None:
    tree = tree_for(quick, alice=70)
    first = quick.propose_and_finalize(tree, 3, WHY)
    assert quick.propose_and_finalize(tree, 3, WHY) == first
    assert len(quick.roots()) == 1
    assert first.state is RootState.FINAL
    assert first.transaction.startswith("0x")


def test_a_settlement_that_was_cut_off_goes_on_where_it_stopped(slow: WholeChain, node: Node) -> None:
    tree = tree_for(slow, alice=70)
    proposed = slow.propose_and_finalize(tree)
    node.pass_time(DELAY_S)
    final = slow.propose_and_finalize(tree)
    assert (final.index, final.state) == (proposed.index, RootState.FINAL)
    assert final.transaction != proposed.transaction


def test_each_finished_transaction_is_reported_before_the_call_returns(
    quick: WholeChain, cast: Cast, anvil: EmbeddedChain
) -> None:
    seen: list[int] = []
    told = WholeChain.connect(anvil.url, cast.hub, mined=lambda: seen.append(quick.total_claimed()))
    told.attach(quick.deployment)
    tree, index = settle(told, alice=70)
    claim(told, tree, ALICE, index)
    assert seen == [0, 0, 70]


def test_deploying_twice_is_one_deployment(anvil: EmbeddedChain, cast: Cast, records: Path, node: Node) -> None:
    block = node("eth_blockNumber")
    first = Deployment.read(records / "quick.json")
    again = WholeChain.connect(anvil.url, cast.hub).deploy_once(records / "quick.json")
    assert again == first
    assert again.domain.vault == first.vault
    assert node("eth_blockNumber") == block


def test_a_vault_that_is_gone_is_never_replaced_in_silence(
    anvil: EmbeddedChain, cast: Cast, records: Path, tmp_path: Path
) -> None:
    chain = WholeChain.connect(anvil.url, cast.hub)
    true = Deployment.read(records / "quick.json")
    cases = {
        "found 0 bytes of other code": dataclasses.replace(true, vault=ALICE),
        "bytes of other code": dataclasses.replace(true, vault=true.token),
        "does not pay in": dataclasses.replace(true, token=ALICE),
        "serves chain 31337": dataclasses.replace(true, chain_id=1),
    }
    for message, false in cases.items():
        false.write(tmp_path / "false.json")
        with pytest.raises(DeploymentError, match=message):
            chain.deploy_once(tmp_path / "false.json")
        with pytest.raises(DeploymentError, match="no vault yet"):
            chain.claimed(ALICE)


def test_a_damaged_record_is_refused(anvil: EmbeddedChain, cast: Cast, tmp_path: Path) -> None:
    record = tmp_path / "vault.json"
    for damage in ("", "[]", '{"chain_id": 31337}'):
        record.write_text(damage)
        with pytest.raises(DeploymentError, match="is not a record of a deployment"):
            WholeChain.connect(anvil.url, cast.hub).deploy_once(record)


def test_a_node_that_does_not_answer_is_named(cast: Cast) -> None:
    with pytest.raises(ChainUnreachableError, match=r"no EVM node answers at http://127\.0\.0\.1:1 "):
        WholeChain.connect("http://127.0.0.1:1", cast.hub)


@pytest.mark.slow
def test_the_committed_artifacts_are_what_the_sources_compile_to() -> None:
    check = subprocess.run(["node", "build.mjs", "--check"], cwd=CONTRACTS, capture_output=True, text=True)
    assert (check.returncode, check.stderr) == (0, "")
