"""The names of the environment variables that say where a person's own files are; child processes inherit them."""

from __future__ import annotations

from typing import Final

DATA: Final = "ARMSHARE_DATA"
"""The data folder, which has the robots that were added."""
