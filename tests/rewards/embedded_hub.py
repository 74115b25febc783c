"""A hub to be killed: opens the chain below a folder, pays once, says so in one line, and waits for its end."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from rewards.chain.anvil import EmbeddedChain
from rewards.chain.chain import Chain
from rewards.ledger.settle import build_tree
from teleop.identity import load_key


def main(folder: Path, account: str, cumulative: int) -> None:
    """Settle `cumulative` wei for `account` and pay it."""
    key = load_key(folder / "hub.key")
    with EmbeddedChain(folder / "chain", key.address) as anvil:
        chain = Chain.connect(anvil.url, key, mined=anvil.save)
        here = chain.deploy_once(folder / "vault.json")
        tree = build_tree(here.chain_id, here.vault, {account: cumulative})
        settlement = chain.propose_and_finalize(tree)
        chain.claim(account, cumulative, tree.proof(account), settlement.index)
        said = {"vault": here.vault, "root": tree.root.hex(), "anvil": anvil.process_id, "hub": os.getpid()}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
