"""Pictures of fake episodes: one for each observation, taken at its time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recorder.export.demonstrations import Draw
from recorder.file.episode import Episode
from recorder.pictures.channel import PictureCodec, Pictures
from tests.recorder.pictures.encoded import encoded, pictures_of, scene


def drawn(codec: PictureCodec = PictureCodec.PNG) -> Draw:
    """Return what draws `scene(i)` for observation i."""

    def draw(episode: Episode, camera: str, width: int, height: int) -> Pictures:
        units = encoded(codec, episode.steps + 1, width, height)
        size = {"width": width, "height": height}
        return pictures_of(units, codec, name=camera, t_captured_ns=episode.t_observed_ns, **size)

    return draw


def near(seen: NDArray[np.uint8], index: int) -> bool:
    """Return whether a picture, which an encoder may have changed a little, shows `scene(index)` and no other."""
    height, width = seen.shape[:2]
    away = [np.abs(seen.astype(int) - scene(i, width, height).astype(int)).mean() for i in range(index - 2, index + 3)]
    return int(np.argmin(away)) == 2 and away[2] < 8
