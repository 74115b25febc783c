"""Pictures that a Dask cluster draws are those that this machine draws; a cluster that cannot draw says why."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recorder.pictures import painters
from recorder.pictures.cache import PictureCache
from recorder.pictures.cluster import Cluster, ClusterError, paint_there
from recorder.pictures.drawn import draw
from recorder.pictures.painters import DASK, Painters
from tests.proxies import free_port
from tests.recorder.pictures.test_drawn import SMALL, recorded_drive

CLUSTER = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    how = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "protocol": "tcp://"}
    with LocalCluster(n_workers=0, **how) as cluster:
        print(cluster.scheduler_address, flush=True)
        for line in sys.stdin:
            cluster.scale(int(line))
            cluster.wait_for_workers(int(line))
            print(int(line), flush=True)
"""


@contextmanager
def clustered(folder: Path) -> Iterator[tuple[str, Callable[[int], None]]]:
    """Yield the address of a real scheduler without workers, and what gives it so many worker processes."""
    script = folder / "cluster.py"
    script.write_text(CLUSTER)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        ask, said = process.stdin, process.stdout

        def scale(workers: int) -> None:
            print(workers, file=ask, flush=True)
            assert said.readline() == f"{workers}\n"

        try:
            yield said.readline().strip(), scale
        finally:
            ask.close()
            process.wait(60)


@pytest.mark.slow
def test_a_cluster_draws_the_same_bits_or_says_why_it_cannot_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = recorded_drive()
    with Painters(1) as here:
        known = draw(drive, SMALL, kept=PictureCache(tmp_path / "here", 10**9), executor=here)
    with clustered(tmp_path) as (address, scale):
        with pytest.raises(ClusterError, match="has no workers: start `dask worker"):
            Cluster(address)
        scale(1)
        monkeypatch.setenv(DASK, address)
        there = draw(drive, SMALL, kept=PictureCache(tmp_path / "there", 10**9))
        assert bytes(there.pictures.data) == bytes(known.pictures.data)
        assert there.renderer == known.renderer
        cluster = painters.painters()
        assert isinstance(cluster, Cluster)
        assert cluster.width == 1
        with pytest.raises(ClusterError, match="has another version of armshare"):
            cluster.submit(paint_there, "0" * 64, os.getpid).result(60)
        with pytest.raises(ZeroDivisionError):
            cluster.submit(divmod, 1, 0).result(60)
        cluster.shutdown()


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.pictures.cluster.ANSWER_S", 0.2)
    nowhere = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=f"no Dask scheduler answers at {nowhere}"):
        Cluster(nowhere)


def test_what_is_kept_asks_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.recorder.pictures.test_drawn import Here

    drive, kept = recorded_drive(), PictureCache(tmp_path, 10**9)
    known = draw(drive, SMALL, kept=kept, executor=Here())
    monkeypatch.setenv(DASK, "tcp://127.0.0.1:1")
    assert bytes(draw(drive, SMALL, kept=kept).pictures.data) == bytes(known.pictures.data)
