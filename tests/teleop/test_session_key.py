"""The session key: the same for the page and the terminal, made again by the wallet alone."""

from __future__ import annotations

import json
from pathlib import Path

from eth_account import Account

from teleop.identity import SEED_PURPOSE, Domain, new_key, session_key

GOLDEN = json.loads((Path(__file__).parent / "golden_session_key.json").read_text())
DOMAIN = Domain(**GOLDEN["domain"])
PAGE = Path(__file__).parents[2] / "armshare" / "web" / "src" / "lib" / "account" / "sessionkey.ts"
PROTOCOL = Path(__file__).parents[2] / "teleop" / "PROTOCOL.md"


def test_the_golden_wallet_makes_the_golden_key_each_time() -> None:
    made = [session_key(Account.from_key(GOLDEN["wallet"]), DOMAIN, GOLDEN["nonce"]).address for _ in range(2)]
    assert made == 2 * [GOLDEN["session_key"]]


def test_each_wallet_session_and_platform_has_a_key_of_its_own() -> None:
    wallet, other_nonce = Account.from_key(GOLDEN["wallet"]), "0x" + "01" * 32
    keys = {
        GOLDEN["session_key"],
        session_key(wallet, DOMAIN, other_nonce).address,
        session_key(wallet, Domain(1, DOMAIN.vault), GOLDEN["nonce"]).address,
        session_key(new_key(), DOMAIN, GOLDEN["nonce"]).address,
        wallet.address,
    }
    assert len(keys) == 5


def test_the_page_and_the_document_ask_for_the_same_seed() -> None:
    assert f"'{SEED_PURPOSE}'" in PAGE.read_text()
    assert f"    {SEED_PURPOSE}\n" in PROTOCOL.read_text()
