"""What the tests of the recorder's routes share: a hub of their own, served on a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.recorder.served import Hub


@pytest.fixture
def web(hub: Hub) -> Iterator[httpx.Client]:
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client
