"""One camera's film while an episode is recorded: a thread that encodes each picture once, and appends it.

The thread that reads the camera only puts pictures into a short queue; if encoding falls behind, pictures are dropped,
and that is said. A third thread makes the film durable every half second, so that a slow disk delays neither.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from teleop.cameras.capture import Shot
from teleop.cameras.checks import Checks
from teleop.cameras.encoders import open_film_encoder
from teleop.cameras.film import PICTURE_BYTES_MAX, FilmEvent, FilmPicture, FilmWriter
from teleop.cameras.spec import CameraSpec
from teleop.cameras.telling import Tell, Telling

_log = structlog.get_logger()
WAITING_MAX: Final = 24
"""How many pictures may wait to be encoded."""
WAITS_NS: Final = 400_000_000
"""How long one may: if this process is killed, those that wait are lost."""
SYNC_S: Final = 0.5
_SILENT_S: Final = 1.0
"""After this long without a picture, that is said."""
_GRACE_PERIODS: Final = 3.0
_GRACE_S: Final = 0.2
"""How long a picture is waited for that was taken before an episode's end: this and three periods,"""
_HANDED_ON_S: Final = 0.02
"""or if its time is that of its arrival, only until the thread that read it has handed it on."""


class Filming:
    """One film. `offer` and `stop` may be called from any thread, and never wait."""

    def __init__(
        self,
        descriptor: int,
        spec: CameraSpec,
        t_first_ns: int,
        *,
        timed: bool,
        share: Callable[[FilmPicture], None],
        tell: Tell,
        ended: Callable[[int], None],
    ) -> None:
        """`descriptor` is the film's, open and locked; it is closed at the end. All three are called from a thread.

        `timed`: the film gives the device's own times. `share` gets each picture as it is in the film; `tell` what is
        wrong with them, as `Telling` says; `ended`, at the end, how many pictures there are.
        """
        self.spec, self._timed, self._t_first_ns = spec, timed, t_first_ns
        self._descriptor = descriptor
        self._share, self._ended, self._telling = share, ended, Telling(tell)
        self._checks = Checks(spec.fps, t_first_ns, still=spec.still, depth=spec.depth)
        self._encoder = open_film_encoder(spec, PICTURE_BYTES_MAX)
        self._news = threading.Condition()
        self._waiting: deque[tuple[int, Shot]] = deque()
        """Since when each waits, by the monotonic clock."""
        self._dropped: deque[Shot] = deque()
        self._until_ns: int | None = None
        self._deadline_s = 0.0
        self._over = threading.Event()
        self._pictures = 0
        self._key = True
        """Whether the next picture is to be a key: what is before it is not there."""
        self._thread = threading.Thread(target=self._run, name=f"film {spec.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, shot: Shot) -> None:
        """Hand in the next picture."""
        if not self._timed:
            shot = replace(shot, t_captured_ns=shot.t_arrived_ns)
        now_ns = time.monotonic_ns()
        with self._news:
            behind = bool(self._waiting) and now_ns - self._waiting[0][0] > WAITS_NS
            if len(self._waiting) < WAITING_MAX and not behind:
                self._waiting.append((now_ns, shot))
            else:
                self._dropped.append(replace(shot, image=shot.image[:0].copy()))
            self._news.notify()

    def stop(self, t_last_ns: int) -> None:
        """Take the pictures up to that time, if they come soon, and end."""
        with self._news:
            if self._until_ns is None:
                self._until_ns = t_last_ns
                grace_s = _GRACE_S + _GRACE_PERIODS / self.spec.fps if self._timed else _HANDED_ON_S
                self._deadline_s = time.monotonic() + grace_s
            self._news.notify()

    def join(self) -> None:
        """Wait for the end, after `stop`."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._film()
        except Exception as error:  # noqa: BLE001  the supervisor: the film is left as it is, and that is said
            _log.exception("a camera cannot be recorded any more", camera=self.spec.name, error=str(error))
            self._telling.silent(self._checks.seen_ns, time.monotonic_ns())
        finally:
            self._over.set()
            self._ended(self._pictures)

    def _film(self) -> None:
        writer = FilmWriter.resume(self._descriptor)
        syncing = threading.Thread(target=self._sync, args=(writer,), name=f"sync {self.spec.name}", daemon=True)
        syncing.start()
        try:
            if writer.last_ns is not None:
                self._checks.go_on(writer.last_ns)
            while (shot := self._next()) is not None:
                self._take(writer, shot)
            self._checks.end(self._until_ns or 0)
            over = self._checks.take()
            self._write_events(writer, over)
            self._telling.ended(over)
            self._over.set()
            syncing.join()
            writer.end()
        finally:
            self._over.set()
            syncing.join()
            writer.abandon()

    def _next(self) -> Shot | None:
        """Wait for the next picture; None after the last."""
        with self._news:
            while True:
                shot = self._waiting.popleft()[1] if self._waiting else None
                if shot is not None:
                    return shot if self._until_ns is None or shot.t_captured_ns <= self._until_ns else None
                left_s = _SILENT_S if self._until_ns is None else self._deadline_s - time.monotonic()
                if left_s <= 0.0:
                    return None
                if not self._news.wait(left_s) and self._until_ns is None:
                    self._telling.silent(self._checks.seen_ns, time.monotonic_ns())

    def _take(self, writer: FilmWriter, shot: Shot) -> None:
        while self._dropped and self._dropped[0].t_captured_ns < shot.t_captured_ns:
            left_out = self._dropped.popleft()
            self._checks.dropped(left_out.t_captured_ns, reopened=left_out.reopened)
        t_ns = shot.t_captured_ns
        data, key = self._encoder.encode(shot.image, t_ns // 1000, key=self._key or shot.reopened)
        if len(data) > PICTURE_BYTES_MAX:
            self._checks.dropped(t_ns)
            self._key = True
            return
        marks = self._checks.see(shot)
        self._key = False
        picture = FilmPicture(t_ns, shot.t_arrived_ns, key, marks, data)
        over = self._checks.take()
        self._write_events(writer, over)
        writer.picture(picture)
        writer.flush()
        self._pictures += 1
        self._share(picture)
        self._telling.seen(t_ns, self._checks.under_way, over)

    def _write_events(self, writer: FilmWriter, over: Sequence[FilmEvent]) -> None:
        for event in over:
            writer.event(event)

    def _sync(self, writer: FilmWriter) -> None:
        while not self._over.wait(SYNC_S):
            try:
                writer.sync()
            except OSError as error:
                _log.error("a film cannot be made durable", camera=self.spec.name, error=str(error))
