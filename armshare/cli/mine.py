"""`armshare episodes`, printed, and what its `--mine` and `--withdrawn` show of the wallet's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from armshare.cli.options import err, out
from armshare.cli.words import option_of
from armshare.researcher import finding
from sim.words import listed

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


def show_withdrawn(
    hub: str, key: Path | None, limit: int, *, mine: bool, as_json: bool, words: Mapping[str, str]
) -> None:
    """Print what a wallet has withdrawn; raise BadParameter for what does not go with that."""
    from armshare.operator import mine as own

    if not mine:
        raise typer.BadParameter("only who drove them may list them: add --mine", param_hint="--withdrawn")
    if words:
        said = f"no search finds what is withdrawn: leave {listed(option_of(name) for name in words)} out"
        raise typer.BadParameter(said, param_hint="--withdrawn")
    wallet = wallet_of(key)
    found = asyncio.run(own.withdrawn(hub, wallet, limit))
    print_found(found, own.said(found, wallet), as_json=as_json)


def of_operator(words: Mapping[str, str], address: str) -> dict[str, str]:
    """Return the words of a search for what a wallet drove; raise BadParameter if they name another."""
    if words.get("operator", address).lower() != address.lower():
        raise typer.BadParameter(f"--mine are those of {address}: leave --operator out", param_hint="--mine")
    return {**words, "operator": address}


def wallet_of(key: Path | None) -> LocalAccount:
    """Return the wallet in a key file, by default this user's own."""
    from armshare.operator import drive

    return drive.wallet_in(key or drive.own_key_file())


def print_found(found: dict[str, Any], said: Iterable[str], *, as_json: bool) -> None:
    """Print episodes as a table and what is said of them, or as JSON."""
    if as_json:
        print(json.dumps(found))
        return
    if found["episodes"]:
        wide = out if out.is_terminal else Console(width=finding.WHOLE)  # a file or a pipe has no edge
        wide.print(finding.table(found, wide.width))
    for line in said:
        err.print(line, highlight=False, soft_wrap=True, markup=False)
