"""All access to an EVM chain: deploy the vault, publish roots, relay claims, read what was paid.

The only module that imports web3. Addresses are checksummed `str`, amounts `int` in wei, hashes `bytes` or 0x-hex.
Every call raises ChainUnreachableError if the node does not answer, and VaultRefusedError if a contract refuses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import ContractLogicError, TimeExhausted, Web3Exception
from web3.logs import DISCARD
from web3.middleware import ExtraDataToPOAMiddleware

from rewards.chain.vault import (
    ARM,
    STATES,
    ChainError,
    ChainUnreachableError,
    Claim,
    Deployment,
    DeploymentError,
    NothingToClaimError,
    RootRecord,
    Settlement,
    TransactionFailedError,
    VaultRefusedError,
    VaultTerms,
    artifact,
)
from rewards.ledger.settle import PayoutTree, RootState

TEST_SUPPLY_WEI: Final = 1_000_000_000 * ARM
_NOBODY: Final = "0x" + "00" * 20
_WAITING: Final = (RootState.PROPOSED, RootState.DISPUTED, RootState.UPHELD)


class Chain:
    """One key on one chain, safe to use from many threads.

    `mined` is called after each of our transactions is on chain and before the call returns; the embedded chain
    saves its state there. Call `deploy_once` or `attach` first.
    """

    def __init__(
        self,
        url: str,
        key: LocalAccount,
        *,
        mined: Callable[[], None] | None = None,
        timeout_s: float = 120.0,
        alone: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """`alone` keeps out everybody else who sends by this key, in other processes."""
        self._url = url
        self._key = key
        self._mined = mined or (lambda: None)
        self._timeout_s, self._alone = timeout_s, alone
        self._web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": 30}, exception_retry_configuration=None))
        self._web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self._web3.middleware_onion.remove("validation")  # it asks for the chain id twice on every read
        self._sending = threading.Lock()
        self._publishing = threading.Lock()
        self._deployment: Deployment | None = None
        self._contracts: dict[tuple[str, str], Contract] = {}

    @classmethod
    def connect(
        cls,
        url: str,
        key: LocalAccount,
        *,
        mined: Callable[[], None] | None = None,
        alone: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> Self:
        """Return a chain whose node answers."""
        chain = cls(url, key, mined=mined, alone=alone)
        chain.chain_id()
        return chain

    # --- the contracts ---

    @property
    def address(self) -> str:
        """The account that sends our transactions."""
        return str(self._key.address)

    @property
    def deployment(self) -> Deployment:
        """Where the contracts are; raise DeploymentError before `deploy_once` or `attach`."""
        if self._deployment is None:
            raise DeploymentError("no vault yet: call deploy_once() or attach() first")
        return self._deployment

    def chain_id(self) -> int:
        """Ask the node which chain it serves."""
        with self._asking("read the chain id"):
            return int(self._web3.eth.chain_id)

    def deploy_once(self, record: Path, terms: VaultTerms | None = None) -> Deployment:
        """Deploy and fund the vault, or attach to the one that `record` names.

        Raises DeploymentError if the recorded vault is not on this chain: money is never silently forgotten.
        """
        if record.exists():
            return self.attach(Deployment.read(record))
        deployment = self._deploy(terms or VaultTerms())
        deployment.write(record)
        return self.attach(deployment)

    def attach(self, deployment: Deployment) -> Deployment:
        """Use contracts that are already deployed; raise DeploymentError unless their code on chain is ours."""
        found = self.chain_id()
        if found != deployment.chain_id:
            raise DeploymentError(f"the vault is on chain {deployment.chain_id}, but {self._url} serves chain {found}")
        with self._asking("read the vault's code"):
            code = bytes(self._web3.eth.get_code(Web3.to_checksum_address(deployment.vault)))
        if not artifact("RewardVault").matches(code):
            raise DeploymentError(
                f"expected RewardVault at {deployment.vault}, found {len(code)} bytes of other code: restore the "
                "chain's state, or remove the record of the deployment to start again"
            )
        self._deployment = deployment
        if self._call(self._vault.functions.token()) != deployment.token:
            self._deployment = None
            raise DeploymentError(f"the vault {deployment.vault} does not pay in {deployment.token}")
        return deployment

    def _deploy(self, terms: VaultTerms) -> Deployment:
        token = terms.token or self._create("ArmToken", self.address, TEST_SUPPLY_WEI)[0]
        people = [self.address, self.address, terms.guardian or _NOBODY, terms.arbiter or _NOBODY]
        vault, block = self._create("RewardVault", token, terms.delay_s, terms.bond_wei, *people)
        if terms.token is None:
            transfer = self._contract("ArmToken", token).functions.transfer(vault, terms.fund_wei)
            self._send(transfer, "funding the vault")
        return Deployment(self.chain_id(), token, vault, block)

    def _create(self, name: str, *arguments: Any) -> tuple[str, int]:
        built = artifact(name)
        factory = self._web3.eth.contract(abi=built.abi, bytecode=built.bytecode)
        receipt = self._send(factory.constructor(*arguments), f"deploying {name}")
        return str(receipt["contractAddress"]), int(receipt["blockNumber"])

    # --- roots ---

    def propose_and_finalize(self, tree: PayoutTree, log_size: int = 0, log_hash: bytes = bytes(32)) -> Settlement:
        """Publish a payout and make it final at once, or propose it if the vault has a delay.

        `log_size` and `log_hash` anchor the episode log. Repeating a call that was cut off continues where it stopped.
        Raises VaultRefusedError: "RootPending" while an older root waits, "Insolvent" if the vault holds too little.
        """
        here = self.deployment
        if (tree.chain_id, tree.vault) != (here.chain_id, here.vault):
            raise ChainError(
                f"the payout is for vault {tree.vault} on chain {tree.chain_id}, expected {here.vault} on chain "
                f"{here.chain_id}"
            )
        with self._publishing:
            newest = self._finalized_if_due(self._newest())
            if newest is None or not newest.holds(tree.root, tree.total, log_size, log_hash):
                index = 0 if newest is None else newest.index + 1
                propose = self._vault.functions.propose(tree.root, tree.total, log_hash, log_size)
                self._send(propose, "proposing a root")
                newest = self._finalized_if_due(self.root_at(index))
            if newest is None:
                raise ChainError("the vault lost the root that was just proposed")
            return Settlement(newest.index, newest.root, newest.state, self._transaction_about(newest))

    def finalize_due(self) -> RootRecord | None:
        """Make the pending root final if its delay has passed; return the newest root, whatever its state."""
        with self._publishing:
            return self._finalized_if_due(self._newest())

    def dispute(self, index: int, reason_hash: bytes) -> str:
        """Dispute a proposed root (a guardian without a bond, anyone else with one); return the transaction."""
        call = self._vault.functions.dispute(index, reason_hash)
        return _hash(self._send(call, f"disputing root {index}"))

    def resolve(self, index: int, *, upheld: bool) -> str:
        """Decide a dispute, as the arbiter; return the transaction."""
        return _hash(self._send(self._vault.functions.resolve(index, upheld), f"resolving root {index}"))

    def root_at(self, index: int) -> RootRecord:
        """Read one root."""
        root, log_hash, total, log_size, active_at_s, state = self._call(
            self._vault.functions.rootAt(index), f"reading root {index}"
        )
        return RootRecord(index, bytes(root), bytes(log_hash), total, log_size, active_at_s, STATES[state])

    def roots(self) -> tuple[RootRecord, ...]:
        """Read every root, oldest first."""
        return tuple(self.root_at(index) for index in range(self._call(self._vault.functions.rootCount())))

    def _newest(self) -> RootRecord | None:
        count = self._call(self._vault.functions.rootCount())
        return self.root_at(count - 1) if count else None

    def _finalized_if_due(self, root: RootRecord | None) -> RootRecord | None:
        if root is None or root.state not in (RootState.PROPOSED, RootState.UPHELD):
            return root
        try:
            self._send(self._vault.functions.finalize(root.index), f"finalizing root {root.index}")
        except VaultRefusedError as refusal:
            if refusal.error not in ("TooEarly", "EnforcedPause", "WrongState"):
                raise
        return self.root_at(root.index)

    def _transaction_about(self, root: RootRecord) -> str:
        event = self._vault.events.RootFinalized
        if root.state in _WAITING:
            event = self._vault.events.RootProposed
        with self._asking(f"looking for root {root.index}"):
            logs = event().get_logs(argument_filters={"index": root.index}, from_block=self.deployment.block)
        return "0x" + bytes(logs[-1]["transactionHash"]).hex() if logs else ""

    # --- pay ---

    def claim(self, account: str, cumulative: int, proof: Sequence[bytes], root_index: int) -> Claim:
        """Pay `account` what root `root_index` owes it; raise NothingToClaimError if that is nothing."""
        already = self.claimed(account)
        if cumulative <= already:
            raise NothingToClaimError(account, cumulative, already)
        call = self._vault.functions.claim(root_index, account, cumulative, list(proof))
        try:
            receipt = self._send(call, f"the claim of {account}")
        except (TransactionFailedError, VaultRefusedError):
            if cumulative <= (already := self.claimed(account)):  # somebody else relayed the same claim first
                raise NothingToClaimError(account, cumulative, already) from None
            raise
        return self._claims(receipt)[0]

    def claimed(self, account: str) -> int:
        """Wei that `account` has claimed since the beginning."""
        return int(self._call(self._vault.functions.claimed(account)))

    def balance_of(self, account: str) -> int:
        """Wei of the token that `account` holds (the vault's own address works too)."""
        return int(self._call(self._token.functions.balanceOf(account)))

    def _claims(self, receipt: Any) -> tuple[Claim, ...]:
        logs = self._vault.events.Claimed().process_receipt(receipt, errors=DISCARD)
        return tuple(Claim(_hash(receipt), str(log["args"]["account"]), int(log["args"]["amount"])) for log in logs)

    # --- money and brakes ---

    def deposit(self, amount: int) -> str:
        """Put `amount` wei of our tokens into the vault; return the transaction."""
        call = self._token.functions.transfer(self.deployment.vault, amount)
        return _hash(self._send(call, "the deposit"))

    def owed(self) -> int:
        """Wei that is earned and unclaimed, including a pending root."""
        return int(self._call(self._vault.functions.owed()))

    def surplus(self) -> int:
        """Wei in the vault that nobody has earned."""
        return int(self._call(self._vault.functions.surplus()))

    def sweep(self, to: str, amount: int) -> str:
        """Take `amount` wei of the surplus out, as the admin; return the transaction."""
        return _hash(self._send(self._vault.functions.sweep(to, amount), "the sweep"))

    def pause(self) -> str:
        """Stop new roots, as a guardian; final ones still pay. Return the transaction."""
        return _hash(self._send(self._vault.functions.pause(), "pausing"))

    def unpause(self) -> str:
        """Allow new roots again, as the admin; return the transaction."""
        return _hash(self._send(self._vault.functions.unpause(), "unpausing"))

    # --- talking to the node ---

    @property
    def _vault(self) -> Contract:
        return self._contract("RewardVault", self.deployment.vault)

    @property
    def _token(self) -> Contract:
        return self._contract("ArmToken", self.deployment.token)

    def _contract(self, name: str, address: str) -> Contract:
        if (name, address) not in self._contracts:  # web3 builds a class for each, which takes longer than a call
            checked = Web3.to_checksum_address(address)
            self._contracts[name, address] = self._web3.eth.contract(checked, abi=artifact(name).abi)
        return self._contracts[name, address]

    def _call(self, function: Any, what: str = "reading the vault") -> Any:
        with self._asking(what):
            return function.call()

    def _send(self, call: Any, what: str) -> Any:
        """Sign, send and await one transaction; return its receipt if it succeeded."""
        with self._asking(what):
            # until the node has accepted the transaction, no other may take its nonce
            with self._sending, self._alone("chain"):
                nonce = self._web3.eth.get_transaction_count(self._key.address, "pending")
                transaction = call.build_transaction({"from": self._key.address, "nonce": nonce})
                transaction["gas"] = transaction["gas"] * 5 // 4
                signed = self._key.sign_transaction(transaction)
                sent = self._web3.eth.send_raw_transaction(signed.raw_transaction)
            name = "0x" + bytes(sent).hex()
            try:
                receipt = self._web3.eth.wait_for_transaction_receipt(sent, self._timeout_s, 0.05)
            except TimeExhausted:
                raise TransactionFailedError(what, name, f"was not mined in {self._timeout_s} s") from None
        if receipt["status"] != 1:
            raise TransactionFailedError(what, name, "was mined and reverted")
        self._mined()
        return receipt

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except ContractLogicError as error:
            raise self._refusal(what, error) from error
        except Web3Exception as error:
            raise ChainError(f"{what}: {error}") from error
        except OSError as error:
            raise ChainUnreachableError(self._url, error) from error

    def _refusal(self, what: str, error: ContractLogicError) -> VaultRefusedError:
        data = bytes.fromhex(str(error.data)[2:]) if str(error.data).startswith("0x") else b""
        for name, types, names in _known_errors():
            if data[:4] == Web3.keccak(text=f"{name}({','.join(types)})")[:4]:
                decoded = self._web3.codec.decode(types, data[4:])
                values = (_plain(kind, value) for kind, value in zip(types, decoded, strict=True))
                return VaultRefusedError(what, name, dict(zip(names, values, strict=True)))
        return VaultRefusedError(what, str(error.message), {})


def _hash(receipt: Any) -> str:
    return "0x" + bytes(receipt["transactionHash"]).hex()


def _plain(kind: str, value: Any) -> Any:
    return Web3.to_checksum_address(value) if kind == "address" else value


@cache
def _known_errors() -> tuple[tuple[str, list[str], list[str]], ...]:
    """The contracts' errors: name, Solidity types and names of the arguments."""
    entries = [*artifact("RewardVault").abi, *artifact("ArmToken").abi]
    return tuple(
        (entry["name"], [item["type"] for item in entry["inputs"]], [item["name"] for item in entry["inputs"]])
        for entry in entries
        if entry["type"] == "error"
    )
