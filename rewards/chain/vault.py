"""The RewardVault contract in Python: its records, its errors as sentences, and its compiled code.

No web3 here: a caller that needs only these types loads no chain library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from rewards.ledger.settle import RootState
from teleop.files import write_atomic
from teleop.identity import Domain

ARM: Final = 10**18
"""One ARM token in its smallest unit (wei)."""
STATES: Final[Mapping[int, RootState]] = {
    1: RootState.PROPOSED,
    2: RootState.DISPUTED,
    3: RootState.VOID,
    4: RootState.UPHELD,
    5: RootState.FINAL,
}
"""The contract's numbers for the states of a root."""
_ARTIFACTS: Final = Path(__file__).parent / "contracts" / "artifacts"


class ChainError(Exception):
    """The chain did not do what was asked."""


class ChainUnreachableError(ChainError):
    """The node does not answer."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(
            f"no EVM node answers at {url} ({_root_of(reason)}); start one, or name another with --chain-url"
        )
        self.url = url


def _root_of(reason: object) -> object:
    """Return what the system says, if a library has wrapped it in its own words."""
    found = re.search(r"\[Errno \d+\] ([\w ]+)", str(reason))
    return found[1] if found else reason


class DeploymentError(ChainError):
    """The contracts that a record names are not on this chain."""


class TransactionFailedError(ChainError):
    """A transaction was mined but reverted, or was not mined in time."""

    def __init__(self, what: str, transaction: str, reason: str) -> None:
        super().__init__(f"{what}: transaction {transaction} {reason}")
        self.transaction = transaction


class VaultRefusedError(ChainError):
    """The contract refused; `error` is its own name for the reason, `arguments` its values."""

    def __init__(self, what: str, error: str, arguments: Mapping[str, Any]) -> None:
        if error == "WrongState":
            arguments = {**arguments, **{name: STATES[arguments[name]] for name in ("expected", "actual")}}
        listed = ", ".join(f"{name}={value}" for name, value in arguments.items())
        sentence = _REFUSALS.get(error, "{error}({listed})").format(error=error, listed=listed, **arguments)
        super().__init__(f"{what} was refused: {sentence}")
        self.error = error
        self.arguments = dict(arguments)


class NothingToClaimError(ChainError):
    """The account has already claimed all that this root owes it."""

    def __init__(self, account: str, cumulative: int, claimed: int) -> None:
        super().__init__(f"nothing to claim: {account} has earned {cumulative} wei and claimed {claimed} wei")
        self.account = account
        self.cumulative = cumulative
        self.claimed = claimed


_REFUSALS: Final[Mapping[str, str]] = {
    "AccessControlUnauthorizedAccount": "{account} does not hold the role that this needs",
    "EnforcedPause": "the vault is paused: final roots pay, new ones wait",
    "EmptyRoot": "the root is zero",
    "UnknownRoot": "there is no root {index}, the vault holds {count}",
    "WrongState": "root {index} is in state {actual}, expected {expected}",
    "RootPending": "root {index} still waits to become final or void",
    "TotalFell": "the total fell from {finalTotal} to {proposed} wei",
    "LogShrank": "the episode log fell from {finalLogSize} to {proposed} leaves",
    "Insolvent": "the vault would owe {owed} wei and holds {balance}; deposit more first",
    "TooEarly": "disputes are open until Unix time {activeAt}, it is {time}",
    "TooLate": "disputes ended at Unix time {activeAt}, it is {time}",
    "InvalidProof": "the proof does not lead from {account} with {cumulative} wei to root {index}",
    "ExceedsTotal": "the root holds more ({claimed} wei) than the total it was proposed with ({finalTotal} wei)",
    "ExceedsSurplus": "{amount} wei is more than the surplus of {surplus} wei; the rest is owed to contributors",
    "PublisherAndArbiter": "{account} cannot both publish roots and judge them",
    "ERC20InsufficientBalance": "{sender} holds {balance} wei of the token and {needed} are needed",
}


@dataclass(frozen=True, slots=True)
class VaultTerms:
    """What a new vault is deployed with."""

    delay_s: int = 0
    """For how long a proposed root can be disputed; 0 fits the embedded chain only."""
    bond_wei: int = 0
    """What a disputer who is not a guardian must deposit."""
    guardian: str | None = None
    """Who may pause, and dispute without a bond."""
    arbiter: str | None = None
    """Who decides disputes; never the publisher."""
    token: str | None = None
    """An existing ERC-20; None deploys a test token and funds the vault with it."""
    fund_wei: int = 1_000_000 * ARM
    """How much of a test token the vault starts with."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contracts are."""

    chain_id: int
    token: str
    vault: str
    block: int
    """The block in which the vault was deployed; its events begin here."""

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain of every statement that counts on this platform."""
        return Domain(self.chain_id, self.vault)

    def write(self, path: Path) -> None:
        """Keep the record in `path`, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Deployment:
        """Read a record; raise DeploymentError if it is damaged."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise DeploymentError(f"{path} is not a record of a deployment: {error}") from error


@dataclass(frozen=True, slots=True)
class RootRecord:
    """One payout root as the vault keeps it."""

    index: int
    root: bytes
    """The 32-byte Merkle root."""
    log_hash: bytes
    """RFC 6962 tree hash of the episode log at `log_size`."""
    total: int
    """The sum of all cumulative pay, in wei."""
    log_size: int
    active_at_s: int
    """Unix time at which disputes end and the root can become final."""
    state: RootState

    def holds(self, root: bytes, total: int, log_size: int, log_hash: bytes) -> bool:
        """Return whether this root is not void and has exactly these values."""
        said = (self.root, self.total, self.log_size, self.log_hash)
        return self.state is not RootState.VOID and said == (root, total, log_size, log_hash)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a payout: FINAL, or PROPOSED (or DISPUTED) if the vault has a delay."""

    index: int
    root: bytes
    state: RootState
    transaction: str
    """Hash of the newest transaction about this root, 0x-hex."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One payment by the vault."""

    transaction: str
    account: str
    amount: int
    """What this transaction paid, in wei."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    abi: list[dict[str, Any]]
    bytecode: str
    deployed: bytes
    immutables: Sequence[tuple[int, int]]
    """(start, length) of the places in `deployed` that the constructor fills."""

    def matches(self, code: bytes) -> bool:
        """Return whether `code`, found on chain, is this contract's, whatever its constructor's arguments were."""
        return self._blank(code) == self._blank(self.deployed)

    def _blank(self, code: bytes) -> bytes:
        blanked = bytearray(code)
        for start, length in self.immutables:
            blanked[start : start + length] = bytes(length)
        return bytes(blanked)


@cache
def artifact(name: str) -> Artifact:
    """Return the compiled contract `name`, as `contracts/build.mjs` wrote it."""
    built = json.loads((_ARTIFACTS / f"{name}.json").read_bytes())
    immutables = [(place["start"], place["length"]) for place in built["immutables"]]
    return Artifact(built["abi"], built["bytecode"], bytes.fromhex(built["deployedBytecode"][2:]), immutables)
