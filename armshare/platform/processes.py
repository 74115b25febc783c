"""The platform as processes of this machine: a hub and a host, started together and ended in order."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import Distribution, distributions
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import IO, Final

import structlog

from armshare.failures import PlatformError
from armshare.logs import LogFile

_log = structlog.get_logger()
ROOMS: Final = ("sim", "teleop", "recorder", "rewards", "armshare")
START_S: Final = 90.0
STOP_S: Final = 15.0


def require_own_names() -> None:
    """Raise PlatformError if another distribution owns one of our packages' import names."""
    claimed = [(one, room) for one in distributions() for room in _claimed(one)]
    strangers = {room: one.name for one, room in claimed if one.name != "armshare"}
    if strangers:
        said = ", ".join(f"{room} is also {owner}'s" for room, owner in strangers.items())
        raise PlatformError(f"armshare needs an environment of its own: {said}; make a fresh one with `make setup`")


def _claimed(one: Distribution) -> list[str]:
    """Return which of our packages' names a distribution has; `packages_distributions` takes 0.2 s to parse all."""
    tops = one.read_text("top_level.txt")
    if tops is not None:
        return [room for room in ROOMS if room in tops.split()]
    files = "\n" + (one.read_text("RECORD") or "")
    return [room for room in ROOMS if f"\n{room}/" in files]


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for one process, which is `what`; raise PlatformError if another holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise PlatformError(f"another {what} runs on {folder}; end it, or name another --data") from error
        yield


def listen(host: str, port: int) -> socket:
    """Return a listening socket; port 0 takes a free one. Raises OSError if the port is taken."""
    host = host.strip("[]")
    listener = socket(AF_INET6 if ":" in host else AF_INET, SOCK_STREAM)
    try:
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def listening(host: str, port: int) -> socket:
    """Return a listening socket; port 0 takes a free one. Raises PlatformError if it cannot be had."""
    try:
        return listen(host, port)
    except OSError as error:
        what = f"Nothing can listen on port {port} of {host} ({error.strerror})"
        raise PlatformError(f"{what}. Choose another --port, or another --host.") from error


def interrupt_on_signals() -> None:
    """Make Ctrl-C and SIGTERM both an orderly KeyboardInterrupt, even if a shell had them ignored."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)


def end_with_parent() -> None:
    """Interrupt this process once its standard input ends: the process that started it is gone."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


class Child:
    """One of our processes. Its standard input stays open for as long as we live."""

    def __init__(
        self, name: str, arguments: list[str], log: IO[bytes] | LogFile, inherited: Sequence[int] = ()
    ) -> None:
        """`inherited`: the file descriptors that it is given."""
        self.name, self._log = name, log
        file = log.file if isinstance(log, LogFile) else log
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "armshare", *arguments, "--child"],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            pass_fds=inherited,
            start_new_session=True,  # Ctrl-C reaches us alone, so that we end the parts in order
        )

    @property
    def process_id(self) -> int:
        """The process's id."""
        return self._process.pid

    def require_alive(self) -> None:
        """Raise PlatformError if it has ended."""
        code = self._process.poll()
        if code is None:
            return
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if not isinstance(self._log, LogFile):
            raise PlatformError(f"the {self.name} {how}; its log is {self._log.name}")
        last = self._log.last_words().removeprefix("error: ")
        raise PlatformError(f"the {self.name} {how}{last and f': {last}'}; its log is {self._log.path}")

    def stop(self) -> None:
        """Interrupt it and wait; kill it if it does not end in time."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            _log.error("does not end; killed. What it had recorded is saved when it starts again", process=self.name)
            self._process.kill()
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextmanager
def platform(
    data: Path, port: int, robots: list[str], log: IO[bytes] | tuple[LogFile, LogFile]
) -> Iterator[tuple[str, list[Child]]]:
    """Start hub and host; yield the hub's URL once it answers, and the processes. End both, the host first.

    `log`: where both write, or the log file of each.
    """
    of_hub, of_host = log if isinstance(log, tuple) else (log, log)
    with ExitStack() as stack:
        url, hub = stack.enter_context(hub_process(data, port, of_hub))
        wanted = [part for robot in robots for part in ("--robot", robot)]
        host = Child("host", ["host", "--hub", url, "--data", str(data), *wanted], of_host)
        stack.callback(host.stop)
        yield url, [hub, host]


@contextmanager
def hub_process(data: Path, port: int, log: IO[bytes] | LogFile) -> Iterator[tuple[str, Child]]:
    """Start a hub; yield its URL once it answers, and its process. End it.

    Its port is taken before it starts, and handed to it: nothing else can answer at that URL. Raises PlatformError
    if the port is taken (0 takes a free one), or if the hub ends or takes too long.
    """
    with listening("127.0.0.1", port) as listener:
        address, port = listener.getsockname()
        listener_arguments = ["--port", str(port), "--listener", str(listener.fileno())]
        hub = Child("hub", ["hub", "--data", str(data), *listener_arguments], log, [listener.fileno()])
    try:
        url = f"http://{address}:{port}"
        _wait_for_hub(url, hub)
        yield url, hub
    finally:
        hub.stop()


def _wait_for_hub(url: str, hub: Child) -> None:
    """Return once the hub answers; raise PlatformError if it ends or takes too long."""
    import httpx  # here, so that an installation of environments alone has a command line

    deadline = time.monotonic() + START_S
    with httpx.Client(timeout=2.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            hub.require_alive()
            try:
                if client.get(f"{url}/api/config").is_success:
                    return
            except httpx.TransportError:
                hub.wait(0.1)
    raise PlatformError(f"the hub did not answer at {url} within {START_S:.0f} s")
