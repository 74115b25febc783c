"""The embedded chain: what was paid stays paid, however the processes end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from rewards.chain import anvil as module
from rewards.chain.anvil import AnvilBusyError, AnvilFailedError, AnvilMissingError, EmbeddedChain, find_anvil
from rewards.chain.vault import ChainUnreachableError
from rewards.ledger.settle import RootState
from teleop.files import write_atomic
from teleop.identity import load_key, new_key
from tests.rewards.conftest import Node
from tests.rewards.whole_chain import WholeChain

ALICE = new_key().address
REPOSITORY = Path(__file__).parents[3]


@contextmanager
def hub(folder: Path, cumulative: int) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run a hub in its own process until it has paid."""
    command = [sys.executable, "-m", "tests.rewards.embedded_hub", str(folder), ALICE, str(cumulative)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, start_new_session=True, **pipes) as process:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def reopened(folder: Path) -> Iterator[WholeChain]:
    """Open the chain that a hub left behind."""
    key = load_key(folder / "hub.key")
    with EmbeddedChain(folder / "chain", key.address) as embedded:
        chain = WholeChain.connect(embedded.url, key, mined=embedded.save)
        chain.deploy_once(folder / "vault.json")
        yield chain


def require_paid(chain: WholeChain, said: dict[str, Any], cumulative: int) -> None:
    """Check that the chain is the one that the hub spoke of."""
    assert chain.deployment.vault == said["vault"]
    assert (chain.claimed(ALICE), chain.balance_of(ALICE)) == (cumulative, cumulative)
    newest = chain.newest_final()
    assert newest
    assert (newest.root.hex(), newest.state) == (said["root"], RootState.FINAL)


def test_state_survives_a_kill_of_the_hub(tmp_path: Path) -> None:
    for cumulative in (70, 100):  # the second hub finds what the first one left
        with hub(tmp_path, cumulative) as (process, said):
            chain_process = psutil.Process(said["anvil"])
            os.kill(said["hub"], signal.SIGKILL)
            process.wait(10)
            chain_process.wait(10)  # and anvil does not outlive it
    with reopened(tmp_path) as chain:
        require_paid(chain, said, 100)


def test_state_survives_a_kill_of_both_at_once(tmp_path: Path) -> None:
    with hub(tmp_path, 70) as (process, said):
        os.kill(said["anvil"], signal.SIGKILL)
        os.kill(said["hub"], signal.SIGKILL)
        process.wait(10)
    with reopened(tmp_path) as chain:
        require_paid(chain, said, 70)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_state_survives_being_told_to_stop(tmp_path: Path, end: signal.Signals) -> None:
    with hub(tmp_path, 70) as (process, said):
        chain_process = psutil.Process(said["anvil"])
        os.killpg(said["hub"], end)  # as a terminal's Ctrl-C reaches the whole group
        process.wait(10)
        chain_process.wait(10)
    with reopened(tmp_path) as chain:
        require_paid(chain, said, 70)


def test_the_chain_comes_back_where_its_process_dies(tmp_path: Path) -> None:
    key = new_key()
    with EmbeddedChain(tmp_path, key.address) as embedded:
        chain = WholeChain.connect(embedded.url, key, mined=embedded.save)
        here = chain.deploy_once(tmp_path / "vault.json")
        died = embedded.wait_up(10)
        os.kill(died, signal.SIGKILL)
        assert embedded.wait_up(10, after=died) != died
        assert chain.attach(here) == here
        chain.deposit(5)
        assert chain.surplus() == 1_000_000 * 10**18 + 5


def test_nothing_is_written_while_nothing_happens(tmp_path: Path) -> None:
    with EmbeddedChain(tmp_path, new_key().address) as embedded:
        embedded.save()
        before = (tmp_path / "chain.state").stat()
        embedded.save()
        assert (tmp_path / "chain.state").stat() == before


def test_what_others_send_is_saved_too(tmp_path: Path) -> None:
    rich, poor = new_key().address, new_key().address
    with EmbeddedChain(tmp_path, rich) as embedded:
        node = Node(embedded.url)
        node("anvil_impersonateAccount", rich)
        node("eth_sendTransaction", {"from": rich, "to": poor, "value": "0x7"})
    with EmbeddedChain(tmp_path, rich) as embedded:
        assert Node(embedded.url)("eth_getBalance", poor, "latest") == "0x7"


def test_no_key_that_the_world_knows_holds_money(tmp_path: Path) -> None:
    with EmbeddedChain(tmp_path, new_key().address) as embedded:
        node = Node(embedded.url)
        assert node("eth_accounts") == []
        assert node("eth_getBalance", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "latest") == "0x0"


def test_one_folder_holds_one_running_chain(tmp_path: Path) -> None:
    owner = new_key().address
    with EmbeddedChain(tmp_path, owner), pytest.raises(AnvilBusyError, match="is in use by another process"):
        EmbeddedChain(tmp_path, owner)
    EmbeddedChain(tmp_path, owner).stop()


def test_a_port_that_is_taken_is_never_shared(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AnvilFailedError, match=f"port {port} is taken"):
            EmbeddedChain(tmp_path, new_key().address, port)
    with EmbeddedChain(tmp_path, new_key().address, port) as embedded:
        assert embedded.url == f"http://127.0.0.1:{port}"


def test_a_damaged_state_is_refused_and_kept(tmp_path: Path) -> None:
    EmbeddedChain(tmp_path, new_key().address).stop()
    state = tmp_path / "chain.state"
    state.write_bytes(damaged := state.read_bytes()[:-40])
    with pytest.raises(AnvilFailedError, match="anvil_loadState"):
        EmbeddedChain(tmp_path, new_key().address)
    assert state.read_bytes() == damaged


def test_a_write_that_was_cut_off_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chain.state"
    write_atomic(path, b"old")

    def crash(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new, but only h")
    assert path.read_bytes() == b"old"


def test_pay_that_cannot_be_written_down_is_not_reported_as_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    with EmbeddedChain(tmp_path, key.address) as embedded:
        chain = WholeChain.connect(embedded.url, key, mined=embedded.save)
        chain.deploy_once(tmp_path / "vault.json")

        def full(_path: Path, _data: bytes) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(module, "write_atomic", full)
            with pytest.raises(AnvilFailedError, match="No space left on device"):
                chain.deposit(5)
        chain.deposit(7)
        assert chain.surplus() == 1_000_000 * 10**18 + 12


def test_a_stopped_chain_says_that_it_does_not_answer(tmp_path: Path) -> None:
    key = new_key()
    with EmbeddedChain(tmp_path, key.address) as embedded:
        chain = WholeChain.connect(embedded.url, key)
    embedded.stop()  # a second stop does nothing
    with pytest.raises(ChainUnreachableError, match="no EVM node answers"):
        chain.chain_id()


def test_a_missing_anvil_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_anvil().is_file()
    monkeypatch.setattr(module, "_REPOSITORY", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(AnvilMissingError, match="run `npm ci`") as caught:
        EmbeddedChain(tmp_path, new_key().address)
    assert "\n" not in str(caught.value)
