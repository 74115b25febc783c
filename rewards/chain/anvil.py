"""The embedded chain: one anvil process on loopback, whose state survives any way of stopping it.

Anvil keeps its state in memory. `save()` writes it to disk, whole or not at all: call it after each transaction that
matters (`Chain(mined=...)` does), and that transaction survives a kill -9 of either process. A keeper thread saves
other people's transactions once a second, restarts anvil if it dies, and stops it when we stop.
A save writes the whole history, about 30 ms for each 1000 transactions: beyond about 30 000, use an external chain.
The node's control calls trust this machine: anyone who can connect to its loopback port can mint.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from rewards.chain.vault import ChainError
from teleop.files import write_atomic

CHAIN_ID: Final = 31337
_REPOSITORY: Final = Path(__file__).parents[2]
_START_TIMEOUT_S: Final = 20.0
_SAVE_EVERY_S: Final = 1.0
_GAS_MONEY_WEI: Final = 10**24
# Linux: the kernel kills the process (1 is PR_SET_PDEATHSIG, 9 SIGKILL) when the thread that started it is gone.
_DIE_WITH_PARENT: Final = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
_log = structlog.get_logger()


class AnvilMissingError(ChainError):
    """Anvil is not installed."""

    def __init__(self) -> None:
        super().__init__("the embedded chain needs anvil: run `npm ci` in the repository, or set ARMSHARE_CHAIN_URL")


class AnvilFailedError(ChainError):
    """Anvil did not start, or refused a call."""


class AnvilBusyError(ChainError):
    """Another process runs its chain in this folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is in use by another process; one folder holds one running chain")
        self.folder = folder


def find_anvil() -> Path:
    """Return npm's anvil or the one in PATH; raise AnvilMissingError.

    Npm's is the program itself: killing its wrapper would leave it running.
    """
    for package in sorted((_REPOSITORY / "node_modules" / "@foundry-rs").glob("anvil-*")):
        if (program := package / "bin" / "anvil").is_file():
            return program
    if found := shutil.which("anvil"):
        return Path(found)
    raise AnvilMissingError


class EmbeddedChain:
    """A running chain, kept in `folder`; `owner` is given gas money. Use it in a `with`, or call `stop()`."""

    def __init__(self, folder: Path, owner: str, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._program = find_anvil()
        self._state = folder / "chain.state"
        self._output = folder / "anvil.log"
        self._owner = owner
        self._lock_file = _lock(folder)
        self._port = port or _free_port()
        self._saving = threading.Lock()
        self._saved_block = ""
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: Exception | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="chain-keeper", daemon=True)
        self._keeper.start()
        try:
            self.wait_up(_START_TIMEOUT_S)
        except ChainError:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """The node's JSON-RPC address, on loopback."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def process_id(self) -> int | None:
        """The running anvil, or None while it is being started."""
        process = self._process
        return process.pid if process else None

    def __enter__(self) -> Self:
        """Return the running chain."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop the chain."""
        self.stop()

    def wait_up(self, timeout_s: float, after: int | None = None) -> int:
        """Wait until anvil answers, in a process other than `after`, and return its process id.

        Raises AnvilFailedError if it does not start in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failure or self.process_id not in (None, after), timeout_s)
            process_id = self.process_id
        if self._failure or process_id in (None, after):
            raise AnvilFailedError(f"anvil did not start, see {self._output}: {self._failure or 'no answer'}")
        return process_id or 0

    def save(self) -> None:
        """Write the chain's state to disk, unless its newest block is already saved; raise AnvilFailedError."""
        with self._saving:
            block = str(self._rpc("eth_getBlockByNumber", "latest", False)["hash"])
            if block == self._saved_block:
                return
            state = bytes.fromhex(self._rpc("anvil_dumpState")[2:])
            try:
                write_atomic(self._state, state)
            except OSError as error:
                raise AnvilFailedError(f"the chain's state cannot be written to {self._state}: {error}") from error
            self._saved_block = block

    def stop(self) -> None:
        """Save, end the process and free the folder; a second call does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._keeper.join()
        os.close(self._lock_file)

    # --- the keeper: the only thread that starts and ends the process ---

    def _keep(self) -> None:
        """Own the process: Linux ties a child's life to the thread that started it, so that thread must live on."""
        try:
            while not self._stopping.is_set():
                with self._start() as process:
                    self._watch(process)
        except (OSError, ChainError) as error:
            _log.error("embedded_chain_failed", error=str(error))
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        try:
            self._prepare(process)
            self._announce(process)
            while process.poll() is None and not self._stopping.wait(_SAVE_EVERY_S):
                self._try_to_save()
            if process.poll() is None:
                self._try_to_save()
            else:
                _log.error("embedded_chain_died", code=process.returncode, log=str(self._output))
        finally:
            self._announce(None)
            process.terminate()

    def _start(self) -> subprocess.Popen[bytes]:
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--chain-id", str(CHAIN_ID), "--accounts", "0"]
        options += ["--hardfork", "cancun", "--quiet", "--no-cors", "--no-request-size-limit", "--prune-history", "64"]
        _require_free(self._port)
        shim = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT] if sys.platform == "linux" else []
        with self._output.open("wb") as output:
            return subprocess.Popen(
                [*shim, str(self._program), *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C is for us to handle: the state is saved first
            )

    def _prepare(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AnvilFailedError(f"anvil did not answer at {self.url} (exit code {process.returncode})")
            self._stopping.wait(0.02)
        if self._state.exists():
            self._rpc("anvil_loadState", "0x" + self._state.read_bytes().hex())
        self._rpc("anvil_setBalance", self._owner, hex(_GAS_MONEY_WEI))
        self._saved_block = ""

    def _announce(self, process: subprocess.Popen[bytes] | None) -> None:
        with self._changed:
            self._process = process
            self._changed.notify_all()

    def _try_to_save(self) -> None:
        try:
            self.save()
        except ChainError as error:
            _log.warning("embedded_chain_not_saved", error=str(error))

    def _answers(self) -> bool:
        try:
            return int(self._rpc("eth_chainId"), 16) == CHAIN_ID
        except AnvilFailedError:
            return False

    def _rpc(self, method: str, *params: object) -> Any:
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60.0)
        try:
            connection.request("POST", "/", request, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, HTTPException, ValueError) as error:
            raise AnvilFailedError(f"{method}: anvil at {self.url} does not answer: {error}") from error
        finally:
            connection.close()
        if "error" in answer:
            raise AnvilFailedError(f"{method}: {answer['error']}")
        return answer["result"]


def _lock(folder: Path) -> int:
    """Hold the folder until the descriptor is closed or this process ends."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AnvilBusyError(folder) from None
    return descriptor


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _require_free(port: int) -> None:
    """Refuse to share a port: another node there would answer in anvil's place."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise AnvilFailedError(f"port {port} is taken: {error}") from error
