"""The version of tus, the protocol of resumable uploads, that both of its ends speak."""

from __future__ import annotations

from typing import Final

TUS_VERSION: Final = "1.0.0"
