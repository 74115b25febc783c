"""One real chain for all tests of this room; each test finds it as the first one did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account.signers.local import LocalAccount

from rewards.chain.anvil import EmbeddedChain
from rewards.chain.vault import VaultTerms
from teleop.identity import new_key
from tests.rewards.whole_chain import WholeChain

DELAY_S = 3600
BOND_WEI = 500


@dataclass(frozen=True)
class Node:
    """The node's control calls."""

    url: str

    def __call__(self, method: str, *params: object) -> Any:
        """Make one JSON-RPC call."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(self.url, json=request, timeout=30, verify=False).json()  # plain http on loopback
        assert "error" not in answer, answer
        return answer["result"]

    def pass_time(self, seconds: int) -> None:
        """Let the chain's clock jump."""
        self("evm_increaseTime", seconds)
        self("evm_mine")

    def gas_of(self, transaction: str) -> int:
        """What a transaction cost."""
        return int(self("eth_getTransactionReceipt", transaction)["gasUsed"], 16)


@dataclass(frozen=True)
class Cast:
    """Everybody who has a part; each holds gas money."""

    hub: LocalAccount
    guardian: LocalAccount
    arbiter: LocalAccount
    stranger: LocalAccount


@pytest.fixture(scope="session")
def cast() -> Cast:
    """Fresh keys for the whole session."""
    return Cast(new_key(), new_key(), new_key(), new_key())


@pytest.fixture(scope="session")
def anvil(cast: Cast, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedChain]:
    """The embedded chain."""
    with EmbeddedChain(tmp_path_factory.mktemp("chain"), cast.hub.address) as running:
        yield running


@pytest.fixture(scope="session")
def node(anvil: EmbeddedChain, cast: Cast) -> Node:
    """Control over the chain, everybody having gas money."""
    node = Node(anvil.url)
    for key in (cast.guardian, cast.arbiter, cast.stranger):
        node("anvil_setBalance", key.address, hex(10**21))
    return node


@pytest.fixture(scope="session")
def records(anvil: EmbeddedChain, node: Node, cast: Cast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two deployed vaults: `quick.json` without a delay, `slow.json` with one and a bond."""
    folder = tmp_path_factory.mktemp("records")
    chain = WholeChain.connect(anvil.url, cast.hub)
    people = {"guardian": cast.guardian.address, "arbiter": cast.arbiter.address}
    chain.deploy_once(folder / "quick.json", VaultTerms(fund_wei=1000, **people))
    chain.deploy_once(folder / "slow.json", VaultTerms(delay_s=DELAY_S, bond_wei=BOND_WEI, fund_wei=1000, **people))
    return folder


@pytest.fixture
def untouched(node: Node, records: Path) -> Iterator[None]:
    """Put the chain back after the test."""
    snapshot = node("evm_snapshot")
    yield
    node("evm_revert", snapshot)


@pytest.fixture
def quick(anvil: EmbeddedChain, records: Path, cast: Cast, untouched: None) -> WholeChain:
    """The hub's hands on a vault that holds 1000 wei and makes roots final at once."""
    chain = WholeChain.connect(anvil.url, cast.hub)
    chain.deploy_once(records / "quick.json")
    return chain


@pytest.fixture
def slow(anvil: EmbeddedChain, records: Path, cast: Cast, untouched: None) -> WholeChain:
    """The hub's hands on a vault that holds 1000 wei, with DELAY_S to dispute and a bond of BOND_WEI."""
    chain = WholeChain.connect(anvil.url, cast.hub)
    chain.deploy_once(records / "slow.json")
    return chain


def as_(key: LocalAccount, chain: WholeChain, anvil: EmbeddedChain) -> WholeChain:
    """Return the same vault in another's hands."""
    other = WholeChain.connect(anvil.url, key)
    other.attach(chain.deployment)
    return other
