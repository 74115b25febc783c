"""MP4 of stored pictures: the same pictures come out, at their places, and stored H.264 is not decoded on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from recorder.pictures import mp4
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from recorder.pictures.errors import PictureError, PictureSizeError, PictureStructureError, PictureUndecodableError
from recorder.pictures.mp4 import Mp4Files, Placed, parameter_sets
from tests.recorder.pictures.encoded import KEY_EVERY, channel, encoded, pictures_of, scene

FPS = 20


def files(folder: Path, **kwargs: Any) -> Mp4Files:
    return Mp4Files(lambda number: folder / f"file-{number:03d}.mp4", FPS, **kwargs)


def read(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    with av.open(str(path)) as file:
        assert file.streams.video[0].average_rate == FPS
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]


def order(first: int, count: int) -> NDArray[np.int64]:
    return np.arange(first, first + count, dtype=np.int64)


@pytest.fixture
def never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pictures: Pictures) -> None:
        raise AssertionError(f"{pictures.name} was decoded")

    monkeypatch.setattr(mp4, "Decoder", refuse)


@pytest.mark.usefixtures("never_decoded")
def test_stored_h264_is_copied_bit_for_bit_at_a_constant_rate(tmp_path: Path) -> None:
    pictures = channel(PictureCodec.H264)
    made = files(tmp_path)
    assert made.add(pictures, order(0, 12)) == Placed(0, 0, 12, copied=True)
    assert made.add(pictures, order(4, 8)) == Placed(0, 12, 8, copied=True)
    made.close()

    seen, decoder = read(tmp_path / "file-000.mp4"), Decoder(pictures)
    assert [time for time, _ in seen] == pytest.approx([index / FPS for index in range(20)])
    for (_, pixels), index in zip(seen, [*range(12), *range(4, 12)], strict=True):
        assert np.array_equal(pixels, decoder.frame(index))


@pytest.mark.usefixtures("never_decoded")
def test_an_episode_that_begins_between_keys_is_copied_with_those_before_it(tmp_path: Path) -> None:
    pictures, made = channel(PictureCodec.H264), files(tmp_path)
    lead = 3
    placed = made.add(pictures, order(KEY_EVERY + lead, 5))
    again = made.add(pictures, order(0, 2))
    made.close()

    assert placed == Placed(0, lead, 5, copied=True)
    assert again == Placed(0, lead + 5, 2, copied=True)
    seen, decoder = read(tmp_path / "file-000.mp4"), Decoder(pictures)
    assert np.array_equal(seen[placed.start][1], decoder.frame(KEY_EVERY + lead))
    assert np.array_equal(seen[again.start][1], decoder.frame(0))


@pytest.mark.parametrize(
    "indices", [[0, 0, 1, 2], [0, 1, 3, 5], [5, 4, 3]], ids=["one twice", "one left out", "backwards"]
)
def test_pictures_that_do_not_follow_each_other_are_encoded_once(indices: list[int], tmp_path: Path) -> None:
    pictures, made = channel(PictureCodec.H264), files(tmp_path)
    placed = made.add(pictures, np.array(indices, np.int64))
    made.close()

    assert placed == Placed(0, 0, len(indices), copied=False)
    seen, decoder = read(tmp_path / "file-000.mp4"), Decoder(pictures)
    for (time, pixels), (place, index) in zip(seen, enumerate(indices), strict=True):
        assert time == pytest.approx(place / FPS)
        assert np.abs(pixels.astype(int) - decoder.frame(index)).mean() < 6


@pytest.mark.parametrize("codec", [PictureCodec.JPEG, PictureCodec.PNG])
def test_other_codecs_are_encoded(codec: PictureCodec, tmp_path: Path) -> None:
    pictures, made = channel(codec, 6), files(tmp_path)
    assert made.add(pictures, order(0, 6)) == Placed(0, 0, 6, copied=False)
    assert made.add(pictures, order(2, 4)) == Placed(0, 6, 4, copied=False), "both have our encoder's parameters"
    made.close()
    for (_, pixels), index in zip(read(tmp_path / "file-000.mp4"), [*range(6), *range(2, 6)], strict=True):
        assert np.abs(pixels.astype(int) - scene(index)).mean() < 8


def test_other_parameters_begin_another_file(tmp_path: Path) -> None:
    stored, drawn, made = channel(PictureCodec.H264), channel(PictureCodec.PNG), files(tmp_path)
    placed = [made.add(pictures, order(0, 6)) for pictures in (stored, drawn, stored)]
    made.close()
    assert [(one.file, one.start, one.copied) for one in placed] == [(0, 0, True), (1, 0, False), (2, 0, True)]
    for number in range(3):
        assert len(read(tmp_path / f"file-{number:03d}.mp4")) == 6


def test_a_camera_that_changed_its_parameters_on_the_way_is_encoded(tmp_path: Path) -> None:
    units = encoded(PictureCodec.H264, 8)
    sets = parameter_sets(units[4][0])
    # The second key's picture parameters come twice: the same picture, with other parameter sets before it.
    units[4] = (sets[sets.rfind(b"\0\0\0\1") :] + units[4][0], True)
    pictures, made = pictures_of(units, PictureCodec.H264), files(tmp_path)
    assert made.add(pictures, order(0, 8)).copied is False
    assert made.add(pictures, order(0, 4)).copied is True
    made.close()


def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    pictures = channel(PictureCodec.H264)
    made = files(tmp_path, bytes_max=len(pictures.encoded(0)))
    assert [made.add(pictures, order(0, 4)).file for _ in range(3)] == [0, 1, 2]
    made.close()
    assert len(read(tmp_path / "file-002.mp4")) == 4


def test_depth_becomes_codes_of_12_bits_and_loses_nothing_more(tmp_path: Path) -> None:
    units = encoded(PictureCodec.DEPTH16, 6)
    pictures, made = pictures_of(units, PictureCodec.DEPTH16, depth_unit_m=0.001), files(tmp_path)
    assert made.add(pictures, order(0, 6)) == Placed(0, 0, 6, copied=False)
    assert made.add(pictures, order(2, 3)) == Placed(0, 6, 3, copied=False)
    made.close()
    with av.open(str(tmp_path / "file-000.mp4")) as file:
        assert file.streams.video[0].average_rate == FPS
        seen = [frame.to_ndarray(format="gray12le") for frame in file.decode(video=0)]
    decoder = Decoder(pictures)
    for codes, index in zip(seen, [*range(6), *range(2, 5)], strict=True):
        distance_m = decoder.frame(index) * 0.001
        # By the formula that LeRobot turns codes back with.
        low, high = np.log(0.01 + 3.5), np.log(10.0 + 3.5)
        back_m = np.exp(codes / 4095 * (high - low) + low) - 3.5
        within = (distance_m >= 0.01) & (distance_m <= 10.0)
        assert np.abs(back_m - distance_m)[within].max() < 0.0025
        assert (codes[distance_m < 0.01] == 0).all()
        assert (codes[distance_m > 10.0] == 4095).all()


def test_pictures_that_cannot_be_video_are_refused_by_name(tmp_path: Path) -> None:
    mask = pictures_of(encoded(PictureCodec.DEPTH16, 2), PictureCodec.PNG)
    with pytest.raises(PictureStructureError, match="front: a video holds colours"):
        files(tmp_path / "mask").add(mask, order(0, 2))
    odd = pictures_of(encoded(PictureCodec.PNG, 2, 63, 48), PictureCodec.PNG, width=63)
    with pytest.raises(PictureSizeError, match="even width and height, and 63x48 is not"):
        files(tmp_path).add(odd, order(0, 2))
    units = encoded(PictureCodec.H264, 4)
    units[2] = (units[2][0][:3], False)
    torn, made = pictures_of(units, PictureCodec.H264), files(tmp_path / "torn")
    with pytest.raises(PictureError, match="picture 2 of front"):
        made.add(torn, order(0, 4))
    made.close()


def test_pictures_that_begin_with_no_key_are_refused_with_a_sentence(tmp_path: Path) -> None:
    pictures = pictures_of(encoded(PictureCodec.H264, 3)[1:], PictureCodec.H264)
    with pytest.raises(PictureUndecodableError, match="picture 0 of front: there is no key before it"):
        pictures.key_before(0)
    with pytest.raises(PictureUndecodableError, match="no key before it"):
        files(tmp_path).add(pictures, order(0, 2))
    assert not [*tmp_path.iterdir()]
