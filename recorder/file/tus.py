"""The version of tus, the protocol for resumable uploads, that host and hub speak."""

from __future__ import annotations

from typing import Final

TUS_VERSION: Final = "1.0.0"
