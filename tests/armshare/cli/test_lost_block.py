"""A chain that dropped a payout's block: a hub that starts says so in one line, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewards.chain.payouts import Payouts, WrongVaultError
from tests.armshare.command import armshare_here


def test_a_hub_whose_payout_the_chain_dropped_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def lost(_: Payouts) -> None:
        raise WrongVaultError("the chain dropped the block that this payout was in; start the hub again once it has it")

    monkeypatch.setattr(Payouts, "reconcile", lost)
    done = armshare_here("hub", "--data", str(tmp_path / "data"), "--port", "0")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert "the chain dropped the block" in said[0]
    assert "start the hub again" in said[0]
