"""Runs beside ACT: loads an export with the `load_data` of ACT's own utils.py, and prints what came.

    .venv-peers/bin/python tests/peers/act_reads.py CHECKOUT FOLDER CAMERA...

ACT is in no package index: CHECKOUT is a copy of github.com/tonyzhaozh/act, so no test of ours runs this by itself.
"""

import sys
import types
from pathlib import Path


def main():
    """Print the shapes of every batch, and of the statistics."""
    checkout, folder, *cameras = sys.argv[1:]
    sys.modules.setdefault("IPython", types.SimpleNamespace(embed=None))  # it imports this, and calls it nowhere
    sys.path.insert(0, checkout)
    from utils import load_data

    episodes = len(list(Path(folder).glob("episode_*.hdf5")))
    train, valid, statistics, is_sim = load_data(folder, episodes, cameras, 2, 2)
    lines = [
        (name, *(tuple(part.shape) for part in parts))
        for name, batches in (("train", train), ("valid", valid))
        for parts in batches
    ]
    lines.append(({name: value.shape for name, value in statistics.items()}, "sim" if is_sim else "real"))
    sys.stdout.writelines(f"{' '.join(map(str, line))}\n" for line in lines)


if __name__ == "__main__":
    main()
