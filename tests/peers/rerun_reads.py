"""Reads an episode by Rerun's HDF5 reader and writes what it found: `rerun_reads.py episode.h5 episode.rrd`.

Needs rerun-sdk 0.41. Run by hand; no test does, since the SDK is large and its reader experimental.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rerun.chunk import IndexColumn
from rerun.experimental import Hdf5Reader

CLOCKS = ("/time/t_observed_mono_ns", "/time/t_sent_mono_ns", "/commands/t_arrived_mono_ns")
"""One for what was observed (N+1 rows), one for what was applied (N), and one for the commands as they came (M)."""
EVENTS = "/limits"
"""A table of compound rows, which the reader knows no type for."""


def rows_of(reader: Any, clock: str) -> Any:
    """Return a stream of every array that has a row for each reading of a clock.

    The reader wants all arrays of a stream to be of one length, so the others are named to be left out.
    """
    found = {one.path: one for one in reader.datasets()}
    of_commands = clock.startswith("/commands/")
    fitting = {
        path
        for path, one in found.items()
        if one.shape[0] == found[clock].shape[0] and path.startswith("/commands/") == of_commands
    }
    index = IndexColumn.duration(clock, input_unit="ns")
    others = [path for path in found if path == EVENTS or path not in fitting]
    return reader.stream(index_column=index, ignore_datasets=others, use_structs=False)


def main() -> None:
    """Read, write, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("episode", help="an episode.h5")
    parser.add_argument("target", help="the .rrd to write")
    asked = parser.parse_args()
    reader = Hdf5Reader(asked.episode)
    streams = [rows_of(reader, clock) for clock in CLOCKS]
    for clock, stream in zip(CLOCKS, streams, strict=True):
        chunks = [chunk for chunk in stream.to_chunks() if "__hdf5_properties" not in str(chunk.entity_path)]
        sys.stdout.write(f"{clock} indexes {', '.join(sorted(str(chunk.entity_path) for chunk in chunks))}\n")
    type(streams[0]).merge(*streams).write_rrd(asked.target, application_id="armshare", recording_id=asked.episode)


if __name__ == "__main__":
    main()
