"""What the network costs a robot's host: processor time of each of its threads per driven second, without physics.

The host of a robot that goes wherever it is sent is driven at 30 Hz by a hub that is only this program; two trees of
the code take turns, so that both see the same noise.

python -m benchmarks.host_network OTHER_TREE [--rounds 5] [--seconds 6]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from websockets.asyncio.server import ServerConnection, serve

from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.identity import SESSION_GRANT, Domain, new_key
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import FIRST, PROTOCOL, Command, Mode, State, digest_of
from tests.teleop.sessions import PANDA, Puppet

DOMAIN: Final = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
FORWARD: Final = np.array([0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], np.float32)
HZ: Final = 30.0
_HERE: Final = Path(__file__).resolve()


def thread_times_s() -> dict[str, float]:
    """Return the processor time of this process's threads by name, s."""
    found = {}
    for thread in threading.enumerate():
        task = Path(f"/proc/self/task/{thread.native_id}")
        found[thread.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


async def hosted(url: str) -> None:
    """Run the host: drive until the hub ends the lease, and print what each thread used from `ready` on."""
    before: dict[str, float] = {}
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    class Measured(Host):
        def _obey(self, message: Any, *rest: Any) -> None:
            if isinstance(message, signalling.BeginOrder):
                before.update({**thread_times_s(), "process": time.process_time()})
            if isinstance(message, signalling.Revoke):
                loop.call_soon_threadsafe(over.set)
            super()._obey(message, *rest)

    key = new_key()
    host = Measured(url, key, "puppet", Puppet(PANDA), Events(), [])
    serving = asyncio.create_task(host.serve())
    await over.wait()
    after = {**thread_times_s(), "process": time.process_time()}
    print(json.dumps({name: used - before.get(name, 0.0) for name, used in after.items()}))
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def driven(socket: ServerConnection, seconds: float) -> None:
    """Act as the hub and the operator of one host."""
    await socket.send(signalling.encode(signalling.Challenge(PROTOCOL, "0x01", DOMAIN.chain_id, DOMAIN.vault)))
    robot = json.loads(await socket.recv())["robot"]
    await socket.send(signalling.encode(signalling.HostWelcome("token")))
    wallet = new_key()
    grant = signalling.Grant(wallet.address, new_key().address, robot, "lift", "0x01", now_ms() + 60_000)
    signature = SESSION_GRANT.sign(wallet, DOMAIN, grant.values)
    await socket.send(signalling.encode(signalling.LeaseOrder("L", 1, wallet.address, grant, signature, "lift")))
    await socket.send(signalling.encode(signalling.BeginOrder("E", 1, "0x01", PERSON)))
    seen = 0

    async def read() -> None:
        nonlocal seen
        async for frame in socket:
            if isinstance(frame, bytes):
                seen = State.decode(frame).seq

    reading = asyncio.create_task(read())
    before = FIRST
    for seq in range(1, int(seconds * HZ)):
        pressed = seq > HZ / 2
        values = FORWARD if pressed else FORWARD[:0]
        mode = Mode.EE_TWIST if pressed else Mode.NEUTRAL
        command = Command(mode, pressed, 1, seq, seen, time.monotonic_ns() // 1000, values, before)
        data = command.encode()
        before = digest_of(data)
        await socket.send(data)
        await asyncio.sleep(1.0 / HZ)
    await socket.send(signalling.encode(signalling.Revoke(1, signalling.EndReason.LEFT)))
    await asyncio.gather(reading, return_exceptions=True)


async def measured(tree: Path, seconds: float) -> dict[str, float]:
    """Return what a host of that tree used, ms per driven second."""
    async with serve(lambda socket: driven(socket, seconds), "127.0.0.1", 0, compression=None) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        here = [sys.executable, str(_HERE), "--host", url]
        process = await asyncio.create_subprocess_exec(
            *here,
            env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=tree,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    found: dict[str, float] = json.loads(next(line for line in output.decode().splitlines() if line.startswith("{")))
    return {name: used * 1000.0 / seconds for name, used in found.items()}


async def compared(other: Path, rounds: int, seconds: float) -> None:
    """Let both trees take turns, and print medians and the ratio."""
    trees = {"here": _HERE.parents[1], "there": other}
    took: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for _ in range(rounds):
        for name, tree in trees.items():
            took[name].append(await measured(tree, seconds))
    names = sorted({name for one in took["here"] for name in one})
    for name in names:
        here, there = ([one.get(name, 0.0) for one in took[tree]] for tree in trees)
        ratios = [one / other for one, other in zip(here, there, strict=True) if other]
        middle = [statistics.median(values) if values else 0.0 for values in (here, there, ratios)]
        print("{:18} here {:7.2f}  there {:7.2f} ms per driven second, ratio {:.2f}".format(name, *middle))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--host", default="")
    chosen = parser.parse_args()
    if chosen.host:
        asyncio.run(hosted(chosen.host))
    else:
        asyncio.run(compared(chosen.other.resolve(), chosen.rounds, chosen.seconds))
