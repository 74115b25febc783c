"""A thread of its own that notices if a control loop stalls. It never touches the robot.

Part of teleop; exports `Supervisor`. Why it need not touch the robot: `docs/decisions/0010-a-stalled-control-loop.md`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

STALL_PERIODS: Final = 20
"""Control periods without a beat after which a loop counts as stalled: 1 s at 20 Hz."""


class Supervisor:
    """Watches the beats of one loop. `beat` and `rest` are the loop's, `check` the thread's."""

    def __init__(self, name: str, most_s: float, now_ns: Callable[[], int], stalled: Callable[[float], None]) -> None:
        """Prepare; `stalled` is called from the thread, once for each stall, with how long it has lasted so far, s."""
        self.stalls = 0
        self._most_ns, self._now_ns, self._stalled = int(most_s * 1e9), now_ns, stalled
        self._turn = threading.Lock()
        """Held while a beat is read or made: a loop that runs again either finds the mark, or was never reported."""
        self._beaten_ns: int | None = None
        self._noticed_ns: int | None = None
        """The beat after which a stall was noticed."""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(most_s / 2.0,), name=f"supervisor {name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._done.set()
        self._thread.join()

    def beat(self) -> bool:
        """Say that the loop runs; return whether it was stalled since the beat before."""
        with self._turn:
            before, self._beaten_ns = self._beaten_ns, self._now_ns()
            return before is not None and before == self._noticed_ns

    def rest(self) -> bool:
        """Say that the loop has nothing to do, and may be silent until its next beat; return what `beat` does."""
        with self._turn:
            before, self._beaten_ns = self._beaten_ns, None
            return before is not None and before == self._noticed_ns

    def check(self) -> None:
        """Notice a stall."""
        with self._turn:
            beaten, now = self._beaten_ns, self._now_ns()
            if beaten is None or beaten == self._noticed_ns or now - beaten <= self._most_ns:
                return
            self._noticed_ns = beaten
        self.stalls += 1
        self._stalled((now - beaten) / 1e9)

    def _run(self, every_s: float) -> None:
        while not self._done.wait(every_s):
            self.check()
