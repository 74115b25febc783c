"""The SHA-256 of each reference set's file, by its number and its task. A number that is published never changes."""

from __future__ import annotations

from typing import Final

DIGESTS: Final[dict[int, dict[str, str]]] = {
    1: {
        "lift": "b7f68d89aca296ac02fa282e0af53e06010ff5aad788ded66a4c6f697b49be05",
        "pick_place": "ee244794355405f4bdfcd58ad9d7a9e39719c1bc94baf4f804bbae388526a8fd",
        "push": "82cfd34824ff4803fd2374f5200b0fd2ad6f6cfb4c482a3da6ceb4c4c5ddbd83",
        "reach": "d8869f3fbf7d53a3b7d5856699e2a0fd0906d290bf7f9fcad041129ec14ed0c6",
        "stack": "6eefbedde6281cd62265a1df17229187432b4a39ec96ea00dbb7d63ae48e98c7",
    },
}
