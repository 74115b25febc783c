"""Any picture of a camera is decoded, and one that would cost more than its size explains is refused before."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from recorder.pictures.errors import PictureError, PictureSizeError, PictureStructureError, PictureUndecodableError
from recorder.pictures.units import unit_of
from tests.recorder.pictures.encoded import HEIGHT, KEY_EVERY, WIDTH, channel, depth, encoded, pictures_of, png, scene

ORDERS = [list(range(12)), [11, 0, 5, 5, 6, 1, 11], [3, 2, 1, 0], [7], []]


def close(found: object, expected: object) -> bool:
    """Whether two pictures are the same but for what an encoder that loses something loses."""
    return float(np.abs(np.asarray(found, float) - np.asarray(expected, float)).mean()) < 8


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codec", [PictureCodec.H264, PictureCodec.JPEG, PictureCodec.PNG])
def test_pictures_come_in_any_order_as_they_were_taken(codec, order):
    decoder = Decoder(channel(codec))
    found = decoder.frames(order)
    assert found.shape == (len(order), HEIGHT, WIDTH, 3)
    for pixels, index in zip(found, order, strict=True):
        assert close(pixels, scene(index))
        assert np.array_equal(pixels, decoder.frame(index))
    if codec is PictureCodec.PNG:
        assert np.array_equal(found, [scene(index) for index in order] or found)


def test_a_picture_is_the_same_whichever_was_decoded_before_it():
    pictures = channel(PictureCodec.H264)
    in_order = Decoder(pictures).frames(range(12))
    for index in range(12):
        assert np.array_equal(Decoder(pictures).frame(index), in_order[index])


def test_what_was_returned_stays_as_it_was_when_others_are_decoded():
    decoder = Decoder(channel(PictureCodec.H264))
    first = decoder.frame(0)
    kept = first.copy()
    decoder.frame(1)
    assert np.array_equal(first, kept)


def test_depth_comes_as_it_was_to_the_last_bit():
    decoder = Decoder(channel(PictureCodec.DEPTH16))
    found = decoder.frames([5, 0])
    assert found.dtype == np.uint16
    assert np.array_equal(found, [depth(5), depth(0)])


def test_a_mask_is_a_png_of_16_bits():
    pictures = pictures_of([(png(depth(3)), True)], PictureCodec.PNG)
    assert np.array_equal(Decoder(pictures).frame(0), depth(3))


def test_an_index_outside_is_no_picture():
    with pytest.raises(IndexError, match="12 pictures"):
        Decoder(channel(PictureCodec.JPEG)).frame(12)
    with pytest.raises(IndexError, match="12 pictures"):
        Decoder(channel(PictureCodec.JPEG)).frame(-1)


@pytest.mark.parametrize("codec", list(PictureCodec))
def test_a_picture_of_another_size_is_refused_before_it_is_decoded(codec):
    pictures = pictures_of(encoded(codec, 1, 2 * WIDTH, HEIGHT), codec)
    with pytest.raises(PictureSizeError, match="picture 0 of front: expected a picture of 64x48 pixels, got 128x48"):
        Decoder(pictures).frame(0)


@pytest.mark.parametrize("codec", list(PictureCodec))
def test_what_a_picture_says_of_itself_is_read_without_decoding(codec):
    for data, key in encoded(codec, 6):
        unit = unit_of(codec, data)
        assert unit.key is key
        assert unit.size == ((WIDTH, HEIGHT) if key else None)


@pytest.mark.parametrize("codec", list(PictureCodec))
def test_a_picture_that_is_cut_off_is_refused(codec):
    data = encoded(codec, 1)[0][0]
    for length in (0, 1, 8, 20, len(data) // 2, len(data) - 1):
        with pytest.raises(PictureError):
            Decoder(pictures_of([(data[:length], True)], codec)).check(0)


@pytest.mark.parametrize("codec", list(PictureCodec))
def test_noise_in_place_of_a_picture_is_refused(codec):
    for seed in range(20):
        noise = np.random.default_rng(seed).bytes(3000)
        with pytest.raises(PictureError):
            Decoder(pictures_of([(noise, True)], codec)).check(0)


def test_flipped_bits_are_a_picture_or_a_named_error():
    rng, units = np.random.default_rng(1), encoded(PictureCodec.H264, 5)
    refused = 0
    for _ in range(60):
        damaged = [(bytearray(data), key) for data, key in units]
        target = damaged[int(rng.integers(len(damaged)))][0]
        target[int(rng.integers(len(target)))] ^= 1 << int(rng.integers(8))
        try:
            Decoder(pictures_of([(bytes(data), key) for data, key in damaged], PictureCodec.H264)).frames(range(5))
        except PictureError:
            refused += 1
    assert refused > 20


def test_a_key_that_is_none_is_refused_and_so_is_one_that_hides():
    units = encoded(PictureCodec.H264, 2 * KEY_EVERY)
    lies = [(data, i % KEY_EVERY == 1) for i, (data, _) in enumerate(units)]
    with pytest.raises(PictureStructureError, match="called a key, and is not one"):
        Decoder(pictures_of(lies, PictureCodec.H264)).check(1)
    hidden = [(data, i == 0) for i, (data, _) in enumerate(units)]
    with pytest.raises(PictureStructureError, match="called not a key, and is one"):
        Decoder(pictures_of(hidden, PictureCodec.H264)).check(KEY_EVERY)


def test_a_picture_with_no_key_before_it_cannot_be_decoded():
    units = encoded(PictureCodec.H264, 3)[1:]
    with pytest.raises(PictureUndecodableError, match="no key before it"):
        Decoder(pictures_of(units, PictureCodec.H264)).check(0)


def test_after_a_picture_that_cannot_be_decoded_others_still_can():
    units = encoded(PictureCodec.H264, 2 * KEY_EVERY)
    units[1] = (units[1][0][:6], False)
    decoder = Decoder(pictures_of(units, PictureCodec.H264))
    with pytest.raises(PictureError):
        decoder.frame(2)
    assert close(decoder.frame(0), scene(0))
    assert close(decoder.frame(KEY_EVERY + 1), scene(KEY_EVERY + 1))


def refused(codec: PictureCodec, data: bytes, says: str) -> None:
    with pytest.raises(PictureStructureError, match=says):
        Decoder(pictures_of([(data, True)], codec)).check(0)


def test_two_pictures_in_one_access_unit_are_refused():
    units = encoded(PictureCodec.H264, 2)
    refused(PictureCodec.H264, units[0][0] + units[1][0], "one picture in an access unit")
    refused(PictureCodec.H264, units[0][0] + units[0][0], "one picture in an access unit, got 2")


def test_a_key_needs_its_parameter_sets_and_the_stream_its_start_code():
    data = encoded(PictureCodec.H264, 1)[0][0]
    slice_at = data.rindex(b"\0\0\1")
    refused(PictureCodec.H264, data[slice_at:], "parameter sets")
    refused(PictureCodec.H264, b"x" + data, "start code")
    refused(PictureCodec.H264, data + b"\0\0\1\x0e\0", "kinds")


def test_a_stream_of_h264_with_another_size_behind_its_first_parameter_set_is_refused():
    wide = encoded(PictureCodec.H264, 1, 2 * WIDTH, HEIGHT)[0][0]
    data = encoded(PictureCodec.H264, 1)[0][0]
    sets = wide[: wide.rindex(b"\0\0\1")]
    with pytest.raises(PictureSizeError):
        Decoder(pictures_of([(sets + data, True)], PictureCodec.H264)).check(0)


def test_h264_with_b_frames_is_refused():
    import av

    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.thread_count = WIDTH, HEIGHT, "yuv420p", 1
    codec.options = {"bf": "2", "b-adapt": "0", "g": "12"}
    frames = [av.VideoFrame.from_ndarray(scene(i), format="rgb24") for i in range(12)]
    packets = [bytes(packet) for frame in [*frames, None] for packet in codec.encode(frame)]
    assert any(says_b(packet) for packet in packets)


def says_b(packet: bytes) -> bool:
    """Whether a picture is refused because it is a B-frame."""
    try:
        unit_of(PictureCodec.H264, packet)
    except PictureStructureError as error:
        return "I or P, got type" in str(error)
    return False


@pytest.mark.parametrize("mark", [cv2.IMWRITE_JPEG_PROGRESSIVE])
def test_a_progressive_jpeg_is_refused_because_its_scans_may_have_no_end(mark):
    _, data = cv2.imencode(".jpg", scene(0), (mark, 1))
    refused(PictureCodec.JPEG, bytes(data), "baseline")


def test_a_jpeg_with_something_behind_its_end_is_refused_unless_that_is_empty():
    data = encoded(PictureCodec.JPEG, 1)[0][0]
    refused(PictureCodec.JPEG, data + data, "nothing behind it")
    assert close(Decoder(pictures_of([(data + bytes(9), True)], PictureCodec.JPEG)).frame(0), scene(0))


def test_a_png_with_more_than_its_pixels_is_refused():
    data = png(scene(0))
    comment = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20)))
    refused(PictureCodec.PNG, data[:33] + comment + data[33:], "IHDR, IDAT and IEND")
    refused(PictureCodec.PNG, data[:40] + bytes([data[40] ^ 1]) + data[41:], "damaged")
    refused(PictureCodec.DEPTH16, data, "16 bits, got 8")


def test_a_png_that_unpacks_to_more_than_its_pixels_is_refused_in_bounded_time():
    data = png(scene(0))
    bomb = data[:33] + chunk(b"IDAT", zlib.compress(bytes(64 << 20), 9)) + chunk(b"IEND", b"")
    refused(PictureCodec.PNG, bomb, "expected a PNG that unpacks to 9264 bytes")


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_an_empty_channel_has_no_pictures():
    none = Pictures(
        "front",
        PictureCodec.H264,
        WIDTH,
        HEIGHT,
        30.0,
        np.empty(0, np.uint8),
        *([np.empty(0, np.int64)] * 2),
        np.empty(0, np.bool_),
    )
    with pytest.raises(IndexError):
        Decoder(none).frame(0)
    assert Decoder(none).frames([]).shape == (0, HEIGHT, WIDTH, 3)
