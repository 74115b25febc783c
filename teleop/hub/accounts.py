"""Who is signed in: wallets prove themselves by Sign-In with Ethereum (EIP-4361) and get a bearer token.

The hub writes the whole message and accepts a signature over exactly that text, once; nothing is parsed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from eth_account.messages import encode_defunct
from sqlalchemy import delete, select

from teleop import clock
from teleop.hub.db import Database
from teleop.hub.tables import Account, SignIn, Token
from teleop.identity import SignatureError, require_address, require_signer

CHALLENGE_MS: Final = 10 * 60_000
TOKEN_MS: Final = 7 * 24 * 3_600_000


class NotSignedInError(Exception):
    """The request carries no valid token."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A fresh sign-in."""

    token: str
    address: str
    expires_ms: int


class Accounts:
    """Challenges, tokens and the wallets behind them."""

    def __init__(
        self, database: Database, public_url: str, chain_id: int, now_ms: Callable[[], int] = clock.now_ms
    ) -> None:
        self._database, self._now_ms = database, now_ms
        self._url, self._chain_id = public_url, chain_id

    def challenge(self, address: str) -> tuple[str, str]:
        """Return (nonce, EIP-4361 message) for a checksummed address; raise SignatureError."""
        nonce, issued_ms = secrets.token_hex(16), self._now_ms()
        expires_ms = issued_ms + CHALLENGE_MS
        text = self._message(require_address(address), nonce, issued_ms, expires_ms)
        with self._database() as db, db.begin():
            db.execute(delete(SignIn).where(SignIn.expires_ms < issued_ms))
            db.add(SignIn(nonce=nonce, address=address, message=text, expires_ms=expires_ms))
        return nonce, text

    def verify(self, nonce: str, signature: str) -> Signed:
        """Exchange a signed challenge for a token; raise SignatureError. A challenge can be used once."""
        with self._database() as db, db.begin():
            asked = db.get(SignIn, nonce)
            if asked is None or asked.expires_ms < self._now_ms():
                raise SignatureError("expected a challenge of the last ten minutes, used once; ask for a new one")
            require_signer(asked.address, encode_defunct(text=asked.message), signature, "sign-in")
            db.delete(asked)
            if db.get(Account, asked.address) is None:
                db.add(Account(address=asked.address, created_ms=self._now_ms()))
                db.flush()
            signed = Signed(secrets.token_urlsafe(32), asked.address, self._now_ms() + TOKEN_MS)
            db.add(Token(sha256=_hashed(signed.token), address=signed.address, expires_ms=signed.expires_ms))
        return signed

    def address_of(self, token: str) -> str:
        """Return the wallet behind a token; raise NotSignedInError."""
        with self._database() as db:
            found = db.scalar(select(Token).where(Token.sha256 == _hashed(token)))
        if found is None or found.expires_ms < self._now_ms():
            raise NotSignedInError("expected the token of a signed-in wallet; sign in again")
        return found.address

    def sign_out(self, token: str) -> None:
        """Forget a token."""
        with self._database() as db, db.begin():
            db.execute(delete(Token).where(Token.sha256 == _hashed(token)))

    def _message(self, address: str, nonce: str, issued_ms: int, expires_ms: int) -> str:
        return (
            f"{urlsplit(self._url).netloc} wants you to sign in with your Ethereum account:\n"
            f"{address}\n\n"
            "Sign in to armshare. This costs nothing and moves no money.\n\n"
            f"URI: {self._url}\nVersion: 1\nChain ID: {self._chain_id}\nNonce: {nonce}\n"
            f"Issued At: {_iso(issued_ms)}\nExpiration Time: {_iso(expires_ms)}"
        )


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
