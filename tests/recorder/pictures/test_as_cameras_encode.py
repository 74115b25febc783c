"""What a camera's own encoder makes of its pictures passes every check of what a picture may be."""

from __future__ import annotations

import numpy as np
import pytest

from recorder.pictures.channel import PictureCodec
from recorder.pictures.decode import Decoder
from teleop.cameras.encoders import open_film_encoder
from teleop.cameras.spec import CameraSpec
from tests.recorder.pictures.encoded import HEIGHT, WIDTH, depth, pictures_of, scene


@pytest.mark.parametrize("width", [WIDTH, WIDTH - 14])
@pytest.mark.parametrize("codec", list(PictureCodec))
def test_a_film_encoders_pictures_can_be_decoded_each_with_the_key_that_it_says(
    codec: PictureCodec, width: int
) -> None:
    spec = CameraSpec("front", width, HEIGHT, device="0", codec=codec.value, gop=5)
    encoder = open_film_encoder(spec, 4 << 20)
    deep = codec is PictureCodec.DEPTH16
    images = [depth(i, width) if deep else scene(i, width)[:, :, ::-1].copy() for i in range(24)]
    units = [encoder.encode(image, 33_333 * i, key=i in (0, 7, 8, 20)) for i, image in enumerate(images)]
    decoder = Decoder(pictures_of(units, codec, width=width))

    for index in range(24):
        decoder.check(index)
    assert [key for _, key in units][:9:2] == ([True, False, False, False, True] if codec == "h264" else 5 * [True])
    found = decoder.frames([23, 8])
    expected = [images[23], images[8]] if deep else [scene(23, width), scene(8, width)]
    assert np.abs(found.astype(float) - np.array(expected, float)).mean() < (9 if codec in ("h264", "jpeg") else 0.01)
