"""What the tests of uploads and of the recorder's routes share: a hub of their own, on a real socket if need be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recorder.served import Hub
from tests.s3 import s3

__all__ = ["s3"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub")
    yield made
    made.close()


@pytest.fixture
def url(hub: Hub) -> Iterator[str]:
    with hub.served() as url:
        yield url
