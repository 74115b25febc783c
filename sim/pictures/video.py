"""A video of an episode as it is driven, written frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.robot import RobotError

Write = Callable[[Any], None]
"""Takes a frame, (H, W, 3) uint8."""


class VideoError(RobotError):
    """A video cannot be written."""


@dataclass(frozen=True, slots=True)
class Video:
    """Which videos to write, and where."""

    folder: Path
    camera: str = "front"
    width: int = 640
    height: int = 480

    def part(self, number: int) -> Path:
        """Return the file that episode `number` is written into until it is over."""
        return self.folder / f"{number}.part"

    def keep(self, number: int, name: str) -> None:
        """Give the video of episode `number` its name."""
        self.part(number).replace(self.folder / f"{name}.mp4")

    @contextmanager
    def writing(self, number: int, rate_hz: int) -> Iterator[Write]:
        """Write the frames that the yielded function is given; raise VideoError. If it fails, no file stays."""
        with self._opened(number) as file:
            import av

            stream = file.add_stream("libx264", rate=rate_hz, options={"crf": "23"})
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            yield lambda frame: file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode(None))

    @contextmanager
    def _opened(self, number: int) -> Iterator[Any]:
        if self.width % 2 or self.height % 2:
            raise VideoError(f"A video needs an even width and height, and {self.width}x{self.height} is not.")
        try:
            import av
        except ModuleNotFoundError as error:
            raise VideoError("A video needs PyAV: pip install av") from error
        part = self.part(number)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = av.open(str(part), "w", format="mp4")
        except OSError as error:
            why = f"Nothing can be written into {self.folder} ({error.strerror})"
            raise VideoError(f"{why}. Name another folder.") from error
        try:
            with file:
                yield file
        except BaseException:
            part.unlink(missing_ok=True)
            raise
