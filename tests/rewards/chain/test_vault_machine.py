"""The vault against a model, step by step at random: whatever people do, the books balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from rewards.chain.anvil import EmbeddedChain
from rewards.chain.vault import NothingToClaimError, VaultRefusedError
from rewards.ledger.settle import PayoutTree, RootState, build_tree
from teleop.identity import new_key
from tests.rewards.conftest import DELAY_S, Cast, Node, as_
from tests.rewards.whole_chain import WholeChain

PEOPLE = [to_checksum_address(keccak(text=name)[:20]) for name in ("ann", "ben", "cem", "dia")]
FUND = 1000


@dataclass(frozen=True)
class Stage:
    """Everybody's hands on one vault."""

    node: Node
    hub: WholeChain
    guardian: WholeChain
    arbiter: WholeChain
    sink: str


def refusal_of(call: Callable[[], object]) -> str:
    """Return the contract's reason to refuse, or nothing."""
    try:
        call()
    except NothingToClaimError:
        return "NothingToClaim"
    except VaultRefusedError as refusal:
        return refusal.error
    return ""


class VaultMachine(RuleBasedStateMachine):
    """`earned` is the ledger; `trees` are the published payouts, by root index."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.snapshot = stage.node("evm_snapshot")
        self.trees: list[PayoutTree] = []
        self.states: list[RootState] = []
        self.due = True
        self.claimed = dict.fromkeys(PEOPLE, 0)
        self.put_in, self.taken_out = FUND, 0

    def teardown(self) -> None:
        try:
            self.the_end()
        finally:
            self.stage.node("evm_revert", self.snapshot)

    @property
    def pending(self) -> bool:
        return bool(self.states) and self.states[-1] not in (RootState.FINAL, RootState.VOID)

    @property
    def final_total(self) -> int:
        finals = (tree.total for tree, state in zip(self.trees, self.states, strict=True) if state is RootState.FINAL)
        return max(finals, default=0)

    @property
    def owed(self) -> int:
        total = self.trees[-1].total if self.pending else self.final_total
        return total - sum(self.claimed.values())

    @property
    def balance(self) -> int:
        return self.put_in - self.taken_out - sum(self.claimed.values())

    @rule(amount=st.integers(0, 300))
    def deposit(self, amount: int) -> None:
        self.stage.hub.deposit(amount)
        self.put_in += amount

    @precondition(lambda self: not self.pending)
    @rule(amounts=st.lists(st.integers(0, 500), min_size=len(PEOPLE), max_size=len(PEOPLE)), honest=st.booleans())
    def propose(self, amounts: list[int], honest: bool) -> None:
        """Publish a payout; an honest one only grows, the other one is anything."""
        newest = next(
            (t for t, s in zip(self.trees[::-1], self.states[::-1], strict=True) if s is RootState.FINAL), None
        )
        before = newest.cumulative if newest and honest else dict.fromkeys(PEOPLE, 0)
        here = self.stage.hub.deployment
        earned = {name: before[name] + amount for name, amount in zip(PEOPLE, amounts, strict=True)}
        tree = build_tree(here.chain_id, here.vault, earned)
        if newest and newest.root == tree.root:
            return
        expected = ""
        if tree.total < self.final_total:
            expected = "TotalFell"
        elif tree.total - sum(self.claimed.values()) > self.balance:
            expected = "Insolvent"
        assert refusal_of(lambda: self.stage.hub.propose_and_finalize(tree)) == expected
        if not expected:
            self.trees.append(tree)
            self.states.append(RootState.PROPOSED)
            self.due = False

    @precondition(lambda self: self.pending)
    @rule()
    def pass_time_and_finalize(self) -> None:
        self.stage.node.pass_time(DELAY_S)
        self.due = True
        self.finalize()

    @precondition(lambda self: self.pending)
    @rule()
    def finalize(self) -> None:
        self.stage.hub.finalize_due()
        if self.due and self.states[-1] is not RootState.DISPUTED:
            self.states[-1] = self.states[-1].move(RootState.FINAL)

    @precondition(lambda self: self.pending and not self.due)
    @rule()
    def dispute(self) -> None:
        if self.states[-1] is RootState.PROPOSED:
            self.stage.guardian.dispute(len(self.states) - 1, keccak(text="why"))
            self.states[-1] = self.states[-1].move(RootState.DISPUTED)

    @precondition(lambda self: self.pending and self.states[-1] is RootState.DISPUTED)
    @rule(upheld=st.booleans())
    def resolve(self, upheld: bool) -> None:
        self.stage.arbiter.resolve(len(self.states) - 1, upheld=upheld)
        self.states[-1] = self.states[-1].move(RootState.UPHELD if upheld else RootState.VOID)

    @precondition(lambda self: self.trees)
    @rule(data=st.data(), account=st.sampled_from(PEOPLE))
    def claim(self, data: st.DataObject, account: str) -> None:
        index = data.draw(st.integers(0, len(self.trees) - 1))
        tree = self.trees[index]
        entitled, already = tree.cumulative[account], self.claimed[account]
        expected = self._expected(self.states[index], entitled, already)
        assert refusal_of(lambda: self.stage.hub.claim(account, entitled, tree.proof(account), index)) == expected
        if not expected:
            self.claimed[account] = entitled

    def _expected(self, state: RootState, entitled: int, already: int) -> str:
        if entitled <= already:
            return "NothingToClaim"
        if state is not RootState.FINAL:
            return "WrongState"
        return "ExceedsTotal" if sum(self.claimed.values()) + entitled - already > self.final_total else ""

    @rule(amount=st.integers(0, 1500))
    def sweep(self, amount: int) -> None:
        expected = "ExceedsSurplus" if amount > self.balance - self.owed else ""
        assert refusal_of(lambda: self.stage.hub.sweep(self.stage.sink, amount)) == expected
        if not expected:
            self.taken_out += amount

    @invariant()
    def the_books_balance(self) -> None:
        hub = self.stage.hub
        assert hub.balance_of(hub.deployment.vault) == self.balance
        assert hub.total_claimed() == sum(self.claimed.values())
        assert (hub.owed(), hub.surplus()) == (self.owed, self.balance - self.owed)
        assert self.balance >= self.owed >= 0

    def the_end(self) -> None:
        """Check what takes many reads."""
        hub = self.stage.hub
        assert [root.state for root in hub.roots()] == self.states
        newest = hub.newest_final()
        assert (newest.total if newest else 0) == self.final_total
        for account, amount in self.claimed.items():
            assert hub.claimed(account) == hub.balance_of(account) == amount


@pytest.mark.slow
@pytest.mark.hypothesis  # which `make fuzz` runs: here Hypothesis cannot see it by itself
def test_whatever_people_do_the_books_balance(slow: WholeChain, node: Node, cast: Cast, anvil: EmbeddedChain) -> None:
    stage = Stage(node, slow, as_(cast.guardian, slow, anvil), as_(cast.arbiter, slow, anvil), new_key().address)
    machine: Callable[[], VaultMachine] = lambda: VaultMachine(stage)  # noqa: E731  a factory is what is asked for
    slow_is_fine = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=12, stateful_step_count=18, deadline=None, suppress_health_check=slow_is_fine),
    )
