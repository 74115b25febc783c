"""Compare what `tests.everywhere` found with several Pythons; exit with 1 if any bit differs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_COMPARED = ("measured", "taught", "driven", "controlled")


def main(paths: list[Path]) -> int:
    """Print a line for each file, and what differs."""
    found = [json.loads(path.read_text().splitlines()[-1]) for path in paths]
    failed = False
    for one in found:
        sys.stdout.write(
            f"Python {one['python']}, NumPy {one['numpy']}: {one['replayed']} episodes replayed, measures "
            f"{one['measured']} and {one['taught']}, motion {one['driven']}\n"
        )
        for name, said in one["differs"].items():
            failed = True
            sys.stdout.write(f"  {name}: {said}\n")
    for what in _COMPARED:
        if len({str(one[what]) for one in found}) > 1:
            failed = True
            sys.stdout.write(f"expected the same bits as {what} with every Python\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
