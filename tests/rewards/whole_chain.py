"""The chain with the vault's calls that the platform does not make, and strangers may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewards.chain.chain import Chain
from rewards.chain.vault import Claim, RootRecord


@dataclass(frozen=True, slots=True)
class Payout:
    """One account's entitlement under one root."""

    account: str
    cumulative: int
    proof: Sequence[bytes]


class WholeChain(Chain):
    """All that anyone may ask of the vault."""

    def newest_final(self) -> RootRecord | None:
        """Read the newest root that pays."""
        exists, index = self._call(self._vault.functions.newestFinal())
        return self.root_at(index) if exists else None

    def claim_many(self, payouts: Sequence[Payout], root_index: int) -> tuple[Claim, ...]:
        """Pay many accounts in one transaction; those that are owed nothing are passed over."""
        entries = [(payout.account, payout.cumulative, list(payout.proof)) for payout in payouts]
        call = self._vault.functions.claimMany(root_index, entries)
        return self._claims(self._send(call, f"the claims of {len(entries)} accounts"))

    def total_claimed(self) -> int:
        """Wei that all accounts have claimed since the beginning."""
        return int(self._call(self._vault.functions.totalClaimed()))
