"""`python -m sim.bring.macros FILE PACKAGES`: expand a xacro, without ROS, and print the URDF.

`$(find NAME)` is looked up in PACKAGES, a JSON object of names and folders. ROS's own xacro asks the module
`ament_index_python` for them, which is given here in its place.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType


def expand(xacro: str, packages: dict[str, str]) -> str:
    """Return the URDF's text; raise what xacro raises, or LookupError for an unknown package."""

    def folder_of(name: str) -> str:
        if name not in packages:
            known = ", ".join(sorted(packages)) or "no package"
            raise LookupError(f"$(find {name}): found only {known} around the file; put {name} beside its package")
        return packages[name]

    index, found = ModuleType("ament_index_python"), ModuleType("ament_index_python.packages")
    found.get_package_share_directory = folder_of  # type: ignore[attr-defined]  # a module made here
    sys.modules["ament_index_python"], sys.modules["ament_index_python.packages"] = index, found
    from xacro import process_file

    return str(process_file(xacro).toprettyxml(indent=" "))


if __name__ == "__main__":
    try:
        sys.stdout.write(expand(sys.argv[1], json.loads(sys.argv[2])))
    except Exception as error:  # noqa: BLE001  xacro raises all kinds, and this process's last line is the answer
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
