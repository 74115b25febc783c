"""Which extra of this distribution brings a library that is not installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_EXTRAS: Final = {
    "sim": frozenset({"collada", "fast_simplification", "gymnasium", "moderngl", "pybullet", "ruckig", "trimesh"}),
    "can": frozenset({"can"}),
    "dynamixel": frozenset({"dynamixel_sdk"}),
    "ur": frozenset({"rtde_control", "rtde_receive"}),
    "xarm": frozenset({"xarm"}),
    "dask": frozenset({"distributed"}),
    "export": frozenset({"foxglove_schemas_protobuf", "lance", "mcap", "mcap_protobuf", "pyarrow"}),
}
"""Extra -> modules; whatever else is needed comes with `platform`."""
_PLATFORM: Final = "platform"


def extra_of(module: str) -> str:
    """Return the extra that brings a module."""
    name = module.partition(".")[0]
    return next((extra for extra, modules in _EXTRAS.items() if name in modules), _PLATFORM)


def command_for(modules: Iterable[str]) -> str:
    """Return the command that installs what is missing. The platform has all that simulation needs."""
    extras = {extra_of(module) for module in modules}
    if _PLATFORM in extras:
        extras.discard("sim")
    return f"pip install 'armshare[{','.join(sorted(extras))}]'"
