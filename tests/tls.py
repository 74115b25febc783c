"""TLS in front of a port of this machine, by a certificate of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator

from tests.certificates import Certificates


@contextlib.contextmanager
def in_front(port: int, certificates: Certificates) -> Iterator[int]:
    """Yield a port that speaks TLS and hands everything on to `port`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    found: list[int] = []
    thread = threading.Thread(target=_run, args=(loop, port, context, found, ready), name="tls")
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _run(
    loop: asyncio.AbstractEventLoop, port: int, context: ssl.SSLContext, found: list[int], ready: threading.Event
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(asyncio.CancelledError):  # at the end; asyncio would report it
            await asyncio.gather(_pass_on(reader, before), _pass_on(behind, writer))

    async def start() -> asyncio.Server:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        found.append(server.sockets[0].getsockname()[1])
        ready.set()
        return server

    async def end(server: asyncio.Server) -> None:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # what was closed or aborted is gone after the loop's next turns
            await asyncio.sleep(0)

    server = loop.run_until_complete(start())
    loop.run_forever()
    loop.run_until_complete(end(server))
    loop.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
