"""A real camera, read by OpenCV in a thread of its own: who looks gets its newest picture, a film gets every one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import structlog

from teleop.cameras.encoders import Image
from teleop.cameras.sources import Sight
from teleop.cameras.spec import CameraError, CameraSpec

_log = structlog.get_logger()
_RETRY_S: Final = 1.0
_RECENT: Final = 16
_RECENT_BYTES: Final = 32 << 20
"""How many pictures are kept for a film that is told late of an episode's start: as many as fit, but at least two."""
_DELAY_MAX_NS: Final = 1_000_000_000
"""A device's time that is further away than this is of another clock."""
_SHARE: Final = 0.9
"""A device may be a ninth faster than described; of one that is faster yet, some pictures are left out."""
_SEES_M: Final = 5.0
"""The distance that is drawn black where depth is shown to people."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture, as it came."""

    image: Image
    t_captured_ns: int
    """The device's own time if it says one, otherwise when it came. Host's monotonic clock; strictly increasing."""
    t_arrived_ns: int
    reopened: bool
    """Whether the device was gone before it."""


Tap = Callable[[Shot], None]


class CaptureSource:
    """One open camera."""

    def __init__(
        self, spec: CameraSpec, news: Callable[[], None], opened: Callable[[bool], None] = lambda _timed: None
    ) -> None:
        """Both are called from the thread: `news` for each picture, `opened` for the first since it was opened.

        `opened` is told whether the device says when a picture was taken.
        """
        self._spec, self._news, self._opened = spec, news, opened
        self._turn = threading.Lock()
        fitting = _RECENT_BYTES // (3 * spec.width * spec.height)
        self._recent: deque[Shot] = deque(maxlen=max(2, min(fitting, _RECENT)))
        self._tap: Tap | None = None
        self._last_ns = 0
        self._lost = True
        """Whether the device was gone since its last picture."""
        self._said = False
        """Whether the log says that it gives no picture."""
        self._closed = threading.Event()
        self.number = 0
        self._thread = threading.Thread(target=self._read, name=f"camera {spec.name}", daemon=True)
        self._thread.start()

    def look(self) -> Sight:
        """Return the newest picture, as people see it."""
        if not self._recent:
            raise CameraError(f"expected a picture of {self._spec.name}, got none yet")
        newest = self._recent[-1]
        return Sight(self._visible(newest.image), newest.t_captured_ns // 1000, 0)

    def record(self, tap: Tap, t_first_ns: int) -> None:
        """Hand each picture to `tap`, from the newest one before `t_first_ns` on. It is called from the thread."""
        with self._turn:
            for shot in _from_newest_before(list(self._recent), t_first_ns):
                tap(shot)
            self._tap = tap

    def release(self, tap: Tap) -> None:
        """Hand it no more."""
        with self._turn:
            if self._tap == tap:
                self._tap = None

    def close(self) -> None:
        """Release the device."""
        self._closed.set()
        self._thread.join(_RETRY_S + 1.0)

    def _read(self) -> None:
        while not self._closed.is_set():
            capture = self._open()
            if not capture.isOpened():
                self._say("camera not opened; trying again until it is", device=self._spec.device)
                self._lose()
                continue
            try:
                self._take(capture, film=Path(self._spec.device).is_file())
            except (CameraError, cv2.error) as error:
                self._say("camera gave something that is not a picture; opening it again", error=str(error))
                self._lose()
            finally:
                capture.release()

    def _say(self, what: str, **more: str) -> None:
        """Log trouble, once until there is a picture again."""
        if not self._said:
            _log.warning(what, camera=self._spec.name, **more)
        self._said = True

    def _lose(self) -> None:
        """Wait before the device is opened again."""
        self._lost = True
        self._closed.wait(_RETRY_S)

    def _open(self) -> cv2.VideoCapture:
        spec, device = self._spec, self._spec.device
        how = cv2.CAP_V4L2 if device.startswith("/dev/") else cv2.CAP_ANY
        capture = cv2.VideoCapture(int(device) if device.isdecimal() else device, how)
        if spec.depth:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"Z16 "))
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, spec.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, spec.height)
        capture.set(cv2.CAP_PROP_FPS, spec.fps)
        return capture

    def _take(self, capture: cv2.VideoCapture, *, film: bool) -> None:
        """Take pictures until there are no more, about as many a second as described; a film plays at that rate."""
        period_s, due = 1.0 / self._spec.fps, time.monotonic()
        timed: bool | None = None
        while not self._closed.is_set():
            if film:
                self._closed.wait(max(0.0, due - time.monotonic()))
            done, raw = capture.read()
            now_ns = time.monotonic_ns()
            if not done:
                if not film:
                    self._say("camera gave no picture; opening it again")
                    self._lose()
                return
            if now_ns / 1e9 < due - 0.5 * period_s:
                continue
            due = due + period_s if film else max(due, now_ns / 1e9 - period_s) + _SHARE * period_s
            device_ns = _device_ns(capture, now_ns)
            if timed is None:
                timed = device_ns is not None
                self._opened(timed)
            self._keep(raw, device_ns if timed else None, now_ns)

    def _keep(self, raw: Any, device_ns: int | None, now_ns: int) -> None:
        image = self._fitted(raw)
        self._last_ns = max(device_ns or now_ns, self._last_ns + 1)
        shot, self._lost = Shot(image, self._last_ns, now_ns, self._lost), False
        if self._said:
            self._said = False
            _log.info("camera gives pictures again", camera=self._spec.name)
        with self._turn:
            self._recent.append(shot)
            if self._tap is not None:
                self._tap(shot)
        self.number += 1
        self._news()

    def _fitted(self, raw: Any) -> Image:
        """Return a picture of the size that was described: a device may deliver another."""
        size = (self._spec.width, self._spec.height)
        image: Image = _depth(raw, size) if self._spec.depth else raw
        if image.shape[1::-1] == size:
            return image
        how = cv2.INTER_NEAREST if self._spec.depth else cv2.INTER_AREA  # between two depths there may be nothing
        resized = cv2.resize(image, size, interpolation=how)
        return np.asarray(resized, np.uint16) if self._spec.depth else np.asarray(resized, np.uint8)

    def _visible(self, image: Image) -> Image:
        if not self._spec.depth:
            return image
        near = 255 - cv2.convertScaleAbs(image, alpha=255.0 * self._spec.depth_unit_m / _SEES_M)
        near[image == 0] = 0
        return np.asarray(cv2.cvtColor(near, cv2.COLOR_GRAY2BGR), np.uint8)


def _from_newest_before(shots: list[Shot], t_ns: int) -> Iterator[Shot]:
    before = [place for place, shot in enumerate(shots) if shot.t_captured_ns <= t_ns]
    yield from shots[before[-1] if before else 0 :]


def _device_ns(capture: cv2.VideoCapture, now_ns: int) -> int | None:
    """Return when the device says that its newest picture was taken: V4L2 has this computer's monotonic clock."""
    if capture.getBackendName() != "V4L2":
        return None
    taken_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
    return taken_ns if 0 <= now_ns - taken_ns <= _DELAY_MAX_NS else None


def _depth(raw: Any, size: tuple[int, int]) -> Image:
    """Return (H, W) uint16: some devices deliver the bytes as one row."""
    width, height = size
    if raw.dtype == np.uint8 and raw.size == 2 * width * height:
        return np.asarray(raw.reshape(-1).view("<u2").reshape(height, width), np.uint16)
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise CameraError(f"expected a picture of 16 bits, got {raw.shape} of {raw.dtype}; choose h264, jpeg or png")
    return np.asarray(raw, np.uint16)
