"""A log that cannot be written ends nothing: its file is on the disk that is full."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from armshare.logs import Lossy


def test_a_line_that_a_full_disk_does_not_take_is_lost_and_raises_nothing():
    before = structlog.get_config()
    full = Path("/dev/full").open("w")  # noqa: SIM115  closing it fails, which is the point
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(Lossy(full)), cache_logger_on_first_use=False)
    try:
        structlog.get_logger().error("recording failed")
    finally:
        structlog.configure(**before)
        with pytest.raises(OSError, match="No space left"):
            full.close()
