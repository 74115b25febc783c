"""Who is who: secp256k1 keys, and statements signed as EIP-712 typed data under one domain.

`typed_data.json` holds the shapes of this package's statements; the browser builds its own from the same file.
Other packages sign their own statements with the same `Domain`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

# py_ecc, which is imported for signatures, allows recursion 100,000 deep. The stack does not, and a stranger's nested
# JSON would end the process with a segmentation fault, instead of a RecursionError.
sys.setrecursionlimit(1000)

Fields = Sequence[Mapping[str, str]]


class SignatureError(Exception):
    """A signature is malformed, or is another key's."""


class KeyContentError(Exception):
    """A key's file holds something else."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a statement is valid: one chain and one reward vault, so that it cannot be replayed elsewhere."""

    chain_id: int
    vault: str

    def as_dict(self) -> dict[str, Any]:
        """Return the EIP-712 domain."""
        return {"name": "armshare", "version": "1", "chainId": self.chain_id, "verifyingContract": self.vault}


@dataclass(frozen=True, slots=True)
class Statement:
    """One kind of statement: its EIP-712 primary type and fields."""

    name: str
    fields: Fields

    def signable(self, domain: Domain, values: Mapping[str, Any]) -> SignableMessage:
        """Return what is signed; raise SignatureError if `values` do not fit the fields."""
        expected = [field["name"] for field in self.fields]
        if sorted(values) != sorted(expected):
            raise SignatureError(f"{self.name}: expected the fields {expected}, got {sorted(values)}")
        try:
            return encode_typed_data(domain.as_dict(), {self.name: list(self.fields)}, dict(values))
        except (ValueError, TypeError) as error:
            raise SignatureError(f"{self.name}: a value does not fit its type: {error}") from error

    def digest(self, domain: Domain, values: Mapping[str, Any]) -> bytes:
        """Return the 32-byte EIP-712 digest (EIP-712, `hashStruct` under the domain separator)."""
        message = self.signable(domain, values)
        return keccak(b"\x19" + message.version + message.header + message.body)

    def sign(self, key: LocalAccount, domain: Domain, values: Mapping[str, Any]) -> str:
        """Return the 65-byte signature as 0x-hex."""
        return "0x" + bytes(key.sign_message(self.signable(domain, values)).signature).hex()

    def require(self, signer: str, domain: Domain, values: Mapping[str, Any], signature: str) -> None:
        """Raise SignatureError unless `values` fit this statement, and `signature` over them is `signer`'s."""
        try:
            message = self.signable(domain, values)
        except Exception as error:
            raise SignatureError(f"{self.name}: expected its values, as typed_data.json has them: {error}") from error
        require_signer(signer, message, signature, self.name)


def load_statements(package: str) -> dict[str, Statement]:
    """Read a package's `typed_data.json`."""
    text = resources.files(package).joinpath("typed_data.json").read_text("utf-8")
    return {name: Statement(name, fields) for name, fields in json.loads(text).items()}


_STATEMENTS: Final = load_statements("teleop")
ROBOT_REGISTRATION: Final = _STATEMENTS["RobotRegistration"]
CLEAR_ROBOT: Final = _STATEMENTS["ClearRobot"]
HOST_HELLO: Final = _STATEMENTS["HostHello"]
SESSION_GRANT: Final = _STATEMENTS["SessionGrant"]
SESSION_SEED: Final = _STATEMENTS["SessionSeed"]
SEED_PURPOSE: Final = "To make the keys that sign what you drive. Sign this only where you drive robots."
"""What a person reads in the wallet that is asked for the seed."""


def require_signer(signer: str, message: SignableMessage, signature: str, what: str) -> None:
    """Raise SignatureError unless `signature` over `message` is `signer`'s."""
    try:
        found = str(Account.recover_message(message, signature=signature))
    except Exception as error:
        raise SignatureError(f"{what}: expected a 65-byte signature as 0x-hex: {error}") from error
    if found != signer:
        raise SignatureError(f"{what}: expected {signer}'s signature, got {found}'s")


def require_address(text: object) -> str:
    """Return `text` if it is a checksummed (EIP-55) address; raise SignatureError otherwise."""
    if not isinstance(text, str) or not is_checksum_address(text):
        raise SignatureError(f"expected a checksummed 0x address (EIP-55), got {text!r}")
    return text


def new_key() -> LocalAccount:
    """Return a fresh key."""
    account: LocalAccount = Account.create()
    return account


def session_key(wallet: LocalAccount, domain: Domain, nonce: str) -> LocalAccount:
    """Return the key that signs what is driven under the grant with this nonce: the same whenever the wallet is asked.

    It is keccak256(r || s || nonce), where r and s are the wallet's signature over a `SessionSeed`, which is the same
    each time (RFC 6979). Nobody else can make it, and nothing has to be kept. `nonce` is 0x-hex of 32 bytes.
    """
    values = {"operator": wallet.address, "purpose": SEED_PURPOSE}
    signature = bytes.fromhex(SESSION_SEED.sign(wallet, domain, values)[2:])
    account: LocalAccount = Account.from_key(keccak(signature[:64] + bytes.fromhex(nonce[2:])))
    return account


def load_key(path: Path) -> LocalAccount:
    """Return the key kept in `path`, created with owner-only permissions if it is not there.

    Raises KeyContentError if the file holds something else.
    """
    try:
        account: LocalAccount = Account.from_key(kept_secret(path, lambda: "0x" + bytes(new_key().key).hex()))
    except ValueError as error:
        raise KeyContentError(f"{path} holds no private key, which is 0x and 64 hex digits: restore it") from error
    return account


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret kept in `path`, created with owner-only permissions if it is not there.

    If several processes find none, one creates it and all read the same; no process ever sees only a part of it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # owner-only
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(make() + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            Path(name).unlink()
    return path.read_text().strip()
