"""Who draws, if a Dask cluster does: each of its workers has painters of its own, so the pictures are the same.

Dask sends calls as pickles: whoever reaches the scheduler runs code on its workers. Both belong in a private network.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from recorder.pictures.painters import own_painters

PATIENCE_S: Final = 600.0
"""How long a batch of pictures may take, with waiting for a worker that is free."""
ANSWER_S: Final = 5.0
_AHEAD: Final = 4
"""How many batches each thread of a worker is given at a time, so that none waits for the next."""


class ClusterError(Exception):
    """The cluster cannot draw; the message, for whoever set it up, says what to do."""


class Cluster(Executor):
    """The workers of a Dask scheduler."""

    def __init__(self, address: str, patience_s: float = PATIENCE_S) -> None:
        """`address` is the scheduler's; raises ClusterError if it cannot be used."""
        import distributed  # here, so that whoever has no cluster needs no Dask

        connect: Any = distributed.Client
        try:
            self._client = connect(address, timeout=ANSWER_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address}: start one, or name another ({error})"
            ) from error
        threads = sum(one["nthreads"] for one in self._client.scheduler_info(n_workers=-1)["workers"].values())
        if not threads:
            self._client.close()
            raise ClusterError(f"the Dask scheduler {address} has no workers: start `dask worker {address}`")
        self._address, self._patience_s = address, patience_s
        self.width = threads
        """How many batches are drawn at once."""
        self._waiting = ThreadPoolExecutor(_AHEAD * threads, thread_name_prefix="cluster")

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have one of them call it."""
        return self._waiting.submit(self._ask, partial(call, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go of them."""
        self._waiting.shutdown(wait, cancel_futures=cancel_futures)
        self._client.close()

    def _ask(self, call: Callable[[], Any]) -> Any:
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        from recorder.pictures.drawn import drawing_code

        future = self._client.submit(paint_there, drawing_code(), call, pure=False)
        try:
            return future.result(timeout=self._patience_s)
        except (KilledWorker, CommClosedError, asyncio.CancelledError, TimeoutError, OSError) as error:
            said = f"the Dask cluster {self._address} did not draw what it was asked for ({type(error).__name__})"
            raise ClusterError(f"{said}: look at its workers") from error
        finally:
            future.release()


def paint_there(code: str, call: Callable[[], Any]) -> Any:
    """Draw in a Dask worker, by a painter of its own; raise ClusterError if that would draw otherwise."""
    from recorder.pictures.drawn import drawing_code

    if drawing_code() != code:
        raise ClusterError(f"the Dask worker of process {os.getpid()} has another version of armshare: update it")
    return own_painters().submit(call).result()
