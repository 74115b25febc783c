"""The SHA-256 of each reference set's file, by its number and its task. A number that is published never changes."""

from __future__ import annotations

from typing import Final

DIGESTS: Final[dict[int, dict[str, str]]] = {
    1: {
        "drawer": "28e875a3c4806c316b6fafc2cdd3bb778ff2bc40ee77522356e80b5d4f6130c7",
        "lift": "fb720840f0286b7257fb18dfb9de9d4f3497826c27964dba517cbed4536131bc",
        "peg": "d578cea8b35b3b75b5a1552f66fe0319f4081fcce841925b62a06642b40c41bb",
        "pick_place": "8b686309c175ffb9b714e3e6cd027aeeaa5a95ca3fd38dadf5bd770007f57435",
        "pour": "046f2064607589bc049cf4a0dd884d5b7632e0d3a21c2d704caae8bc9a4ec641",
        "push": "af2a55aaf3ddc3010582f51f7bc524ad552ec4e67ad96ff29334151b1267acc8",
        "reach": "2909ee698e962e368b16d26d62c4d002efc89e4312021ad9834180f6009d9292",
        "sort": "289e55e53a3326549b44d619249e485f7ffa3738c5378f391cb78d0c264e2531",
        "stack": "cd853e73855f0abbeb33bd81f6ba3f4c71eaae27995f31942cc563b1fbf68f44",
    },
}
