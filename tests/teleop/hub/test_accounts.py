"""Sign-ins and tokens: each for as long as it says, once, and its own wallet's."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from sqlalchemy import func, select

from teleop.hub.accounts import Accounts, NotSignedInError, Signed
from teleop.hub.db import open_database, open_engine
from teleop.hub.tables import SignIn, Token
from teleop.identity import SignatureError, new_key
from tests.databases import migrated, url_below

pytestmark = pytest.mark.usefixtures("either_database")

MINUTE_MS, DAY_MS = 60_000, 24 * 3_600_000


class Desk:
    """Accounts on a database of their own, and their clock."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = 1_700_000_000_000
        engine = open_engine(url_below(folder))
        migrated(engine)
        self.database = open_database(engine)
        self.accounts = Accounts(self.database, "https://arms.example", 31337, lambda: self.now_ms)

    def asked(self, wallet: LocalAccount) -> tuple[str, str]:
        """Ask for a challenge; return (nonce, signature)."""
        nonce, message = self.accounts.challenge(wallet.address)
        return nonce, "0x" + bytes(wallet.sign_message(encode_defunct(text=message)).signature).hex()

    def signed_in(self, wallet: LocalAccount) -> Signed:
        return self.accounts.verify(*self.asked(wallet))

    def kept(self, table: type[SignIn | Token]) -> int:
        with self.database() as db:
            return db.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


def test_a_challenge_is_answered_within_ten_minutes(desk):
    wallet = new_key()
    in_time = desk.asked(wallet)
    desk.now_ms += 10 * MINUTE_MS
    assert desk.accounts.verify(*in_time).address == wallet.address
    late = desk.asked(wallet)
    desk.now_ms += 10 * MINUTE_MS + 1
    with pytest.raises(SignatureError, match="last ten minutes"):
        desk.accounts.verify(*late)


def test_a_challenge_serves_once_and_its_own_wallet(desk):
    wallet, other = new_key(), new_key()
    nonce, signature = desk.asked(wallet)
    _, others = desk.asked(other)
    with pytest.raises(SignatureError):
        desk.accounts.verify(nonce, others)
    assert desk.accounts.verify(nonce, signature).address == wallet.address
    with pytest.raises(SignatureError, match="used once"):
        desk.accounts.verify(nonce, signature)
    with pytest.raises(SignatureError):
        desk.accounts.verify("f" * 32, signature)


def test_challenges_that_nobody_answered_are_not_kept(desk):
    for _ in range(3):
        desk.asked(new_key())
    assert desk.kept(SignIn) == 3
    desk.now_ms += 10 * MINUTE_MS + 1
    desk.asked(new_key())
    assert desk.kept(SignIn) == 1


def test_a_token_holds_for_seven_days(desk):
    wallet = new_key()
    signed = desk.signed_in(wallet)
    assert signed.expires_ms == desk.now_ms + 7 * DAY_MS
    desk.now_ms += 7 * DAY_MS
    assert desk.accounts.address_of(signed.token) == wallet.address
    desk.now_ms += 1
    with pytest.raises(NotSignedInError, match="sign in again"):
        desk.accounts.address_of(signed.token)


def test_signing_out_ends_that_token_alone_and_signing_in_again_ends_none(desk):
    wallet = new_key()
    first, second = desk.signed_in(wallet), desk.signed_in(wallet)
    assert desk.accounts.address_of(first.token) == desk.accounts.address_of(second.token) == wallet.address
    desk.accounts.sign_out(first.token)
    with pytest.raises(NotSignedInError):
        desk.accounts.address_of(first.token)
    assert desk.accounts.address_of(second.token) == wallet.address


def test_no_other_text_is_a_token_and_a_token_is_not_kept_as_it_is(desk):
    signed = desk.signed_in(new_key())
    with desk.database() as db:
        kept = db.scalars(select(Token.sha256)).all()
    assert signed.token not in kept
    for token in ("", *kept, signed.token[:-1], signed.token.swapcase()):
        with pytest.raises(NotSignedInError):
            desk.accounts.address_of(token)


def test_the_message_says_where_who_and_until_when(desk):
    wallet = new_key()
    _nonce, message = desk.accounts.challenge(wallet.address)
    for said in ("arms.example wants", wallet.address, "URI: https://arms.example", "Chain ID: 31337"):
        assert said in message
    assert "Issued At: 2023-11-14T22:13:20Z" in message
    assert "Expiration Time: 2023-11-14T22:23:20Z" in message
    with pytest.raises(SignatureError, match="checksummed"):
        desk.accounts.challenge(wallet.address.lower())
