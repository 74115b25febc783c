"""The bus by which hubs tell each other who is where: NATS, or a test's. It may be away, and what it drops is lost."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

_log = structlog.get_logger()
Take = Callable[[str, bytes], None]
"""Is given each message, with its subject."""
Stop = Callable[[], Awaitable[None]]
_AGAIN_S: Final = 0.5
_WAITING_MAX: Final = 512
_WAITING_BYTES_MAX: Final = 16 << 20
"""What waits of one subscription: if a hub is slower than that, the bus drops, and says so."""


class Bus(Protocol):
    """Carries what is said to every other hub. For one event loop."""

    @property
    def connected(self) -> bool:
        """Whether it carries anything now."""

    async def publish(self, subject: str, data: bytes) -> None:
        """Say something to the others; it is lost if the bus is away."""

    async def subscribe(self, subject: str, take: Take) -> Stop:
        """Hear what the others say; what is returned ends that. A hub does not hear itself."""


class NatsBus:
    """A NATS server, or several. Use it as `async with bus:`; it connects, and connects again, by itself."""

    def __init__(self, url: str, name: str, credentials: str = "") -> None:
        """`url` may hold a user and a password, or a token; `credentials` is a file of NATS's own."""
        self._url, self._name, self._credentials = url, name, credentials
        self._client = Client()
        self._wanted: dict[object, tuple[str, Take]] = {}
        self._subscribed: dict[object, Any] = {}
        self._connecting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> NatsBus:
        self._connecting = asyncio.create_task(self._connect(), name="bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        await self._client.close()

    @property
    def connected(self) -> bool:
        """Whether its server is there."""
        return bool(self._client.is_connected)

    async def publish(self, subject: str, data: bytes) -> None:
        """Say something to the others."""
        if not self.connected:
            return
        try:
            await self._client.publish(subject, data)
        except (NatsError, OSError) as error:
            _log.warning("the bus did not take a message", subject=subject, error=str(error))

    async def subscribe(self, subject: str, take: Take) -> Stop:
        """Hear what the others say; also of what is subscribed to before there is a connection."""
        key = object()
        self._wanted[key] = subject, take
        if self.connected:
            await self._subscribe(key, subject, take)

        async def stop() -> None:
            self._wanted.pop(key, None)
            found = self._subscribed.pop(key, None)
            if found is not None and self.connected:
                try:
                    await found.unsubscribe()
                except (NatsError, OSError) as error:
                    _log.warning("the bus did not end a subscription", subject=subject, error=str(error))

        return stop

    async def _subscribe(self, key: object, subject: str, take: Take) -> None:
        async def heard(message: Msg) -> None:
            take(message.subject, message.data)

        self._subscribed[key] = await self._client.subscribe(
            subject, cb=heard, pending_msgs_limit=_WAITING_MAX, pending_bytes_limit=_WAITING_BYTES_MAX
        )

    async def _connect(self) -> None:
        """Connect the first time; from then on the client connects again by itself."""
        say = functools.partial(_log.warning, "the bus", url=self._url.rpartition("@")[2])

        async def troubled(error: Exception) -> None:
            say(trouble=str(error) or type(error).__name__)

        async def lost() -> None:
            say(now="is away: robots at other hubs are not known until it is back")

        async def back() -> None:
            say(now="is back")

        options: dict[str, Any] = {"user_credentials": self._credentials} if self._credentials else {}
        await self._client.connect(
            [self._url],
            name=self._name,
            no_echo=True,
            connect_timeout=2,
            reconnect_time_wait=_AGAIN_S,  # type: ignore[arg-type]  # it sleeps that long
            max_reconnect_attempts=-1,
            error_cb=troubled,
            disconnected_cb=lost,
            reconnected_cb=back,
            **options,
        )
        for key, (subject, take) in list(self._wanted.items()):
            if key not in self._subscribed:
                await self._subscribe(key, subject, take)
