"""Episodes that no hub asked for: signed under a domain that is no hub's, so that no hub ever takes them for its own.

Whoever makes one chose its seed and made its keys. What a verifier can say of it is that the simulation gives it.
"""

from __future__ import annotations

from typing import Final

from teleop.identity import Domain

NO_HUB: Final = Domain(0, "0x0000000000000000000000000000000000000000")
"""What is signed here is valid at no hub: none has this chain."""
NO_NONCE: Final = "0x" + 64 * "0"
"""In the place of the nonce that a hub gives."""
