"""What every room's tests share."""

from __future__ import annotations

import os

# A test must not be slowed or changed by what the machine's owner has set.
for name in list(os.environ):
    if name.startswith("ARMSHARE_"):
        del os.environ[name]
