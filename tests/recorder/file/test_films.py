"""Films become the datasets of an episode's cameras: cut to it, and nothing that is missing is missing in silence."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import h5py
import msgspec
import numpy as np
import pytest

from recorder.file.apart import Reader
from recorder.file.episode import (
    DatasetShapeError,
    Episode,
    EpisodeError,
    ForbiddenStorageError,
    MissingDatasetError,
    PicturesUncutError,
    TooLargeError,
    UnknownDatasetError,
    read_episode,
)
from recorder.file.films import Room
from recorder.file.journal import finish
from recorder.file.layout import PICTURES_BYTES_MAX
from recorder.file.meta import MetaError
from recorder.file.writer import EpisodeWriter
from recorder.pictures.channel import PictureCodec
from recorder.pictures.cost import decoding_ns
from recorder.pictures.decode import Decoder
from recorder.proof.checks.pictures import problem
from recorder.proof.content import content_root
from recorder.proof.description import hash_description
from teleop.cameras.film import FilmEvent, FilmPicture, Mark, Trouble, film_of
from tests.recorder.bundles import record
from tests.recorder.factory import fake_episode
from tests.recorder.file.malformed import Change, replace
from tests.recorder.filming import BEGAN_NS, PERIOD_NS, film, head, pictures, seen
from tests.recorder.pictures.encoded import HEIGHT, WIDTH, depth, scene

H264 = PictureCodec.H264
COUNT = 14
"""Steps."""


def recorded(folder: Path, *, ended: bool = True, **how: Any) -> tuple[Path, Path]:
    """Return the journal and the film of an episode that a camera saw."""
    camera = how.pop("camera", head())
    start, steps, end = fake_episode(COUNT, simulated=False, cameras=(camera,))
    journal = folder / "episode-1.journal"
    writer = EpisodeWriter.start(journal, start, hash_description(start.spec.model))
    for step in steps:
        writer.append(step)
    if ended:
        writer.end(end)
    else:
        writer.abandon()
    return journal, film(journal, how.pop("said", camera), steps[-1].t_observed_ns, **how)


def finished(journal: Path, **how: Any) -> Episode:
    """Return the episode that becomes of a journal, checked; nothing else is left of it."""
    file = journal.with_suffix(".h5")
    finish(journal, file, **how)
    episode = read_episode(file)
    assert problem(episode) is None
    assert [path.name for path in journal.parent.iterdir()] == [file.name]
    return episode


def events(episode: Episode) -> list[tuple[int, ...]]:
    return episode.arrays["cameras/front/events"].tolist()


@pytest.mark.parametrize("codec", list(PictureCodec))
def test_pictures_of_each_codec_come_back_as_they_were_recorded(tmp_path: Path, codec: PictureCodec) -> None:
    journal, _ = recorded(tmp_path, camera=head(codec=codec))
    episode = finished(journal)

    (found,) = episode.pictures.values()
    assert (found.name, found.codec, found.width, found.height, found.fps) == ("front", codec, WIDTH, HEIGHT, 30.0)
    first = {picture.t_captured_ns: index for index, picture in enumerate(pictures(codec, 10**10))}
    decoder = Decoder(found)
    for index in (0, 5, len(found) - 1):
        number = first[int(found.t_captured_ns[index])]
        expected = depth(number) if codec is PictureCodec.DEPTH16 else scene(number)
        assert np.abs(decoder.frame(index).astype(float) - expected).mean() < (0.5 if codec.startswith("p") else 8)
    assert events(episode) == []


def test_pictures_begin_with_the_last_key_before_the_episode_and_end_with_it(tmp_path: Path) -> None:
    journal, _ = recorded(tmp_path)
    (found,) = finished(journal).pictures.values()
    seen_ns = read_episode(tmp_path / "episode-1.h5").t_observed_ns

    before = found.t_captured_ns <= seen_ns[0]
    assert before.sum() == 3, "of seven: the key is the fifth"
    assert found.key[0]
    assert not found.key[1 : before.sum()].any()
    assert found.t_captured_ns[-1] <= seen_ns[-1] < found.t_captured_ns[-1] + PERIOD_NS


def test_marks_and_the_events_of_the_episodes_time_are_kept_in_order(tmp_path: Path) -> None:
    made = pictures(H264, BEGAN_NS + 700_000_000)
    made[10] = dataclasses.replace(made[10], marks=Mark.BLACK | Mark.LATE)
    said = (
        FilmEvent(BEGAN_NS + 300, BEGAN_NS + 400, Trouble.FROZEN, 2),
        FilmEvent(BEGAN_NS + 100, BEGAN_NS + 200, Trouble.MISSING, 1),
        FilmEvent(0, BEGAN_NS - 1, Trouble.BLACK, 3),
        FilmEvent(BEGAN_NS + 10**10, BEGAN_NS + 10**11, Trouble.DROPPED, 3),
    )
    journal, _ = recorded(tmp_path, made=made, events=said)
    episode = finished(journal)

    assert episode.arrays["cameras/front/marks"].tolist().count(6) == 1
    assert events(episode) == [(BEGAN_NS + 100, BEGAN_NS + 200, 0, 1), (BEGAN_NS + 300, BEGAN_NS + 400, 1, 2)]


@pytest.mark.parametrize("cut_bytes", [0, 1, 500, 3000])
def test_a_film_that_was_cut_off_gives_what_it_has_and_says_that_the_rest_was_lost(
    tmp_path: Path, cut_bytes: int
) -> None:
    made = pictures(H264, BEGAN_NS + 300_000_000)[:12]
    journal, _ = recorded(tmp_path, made=made, whole=False, cut_bytes=cut_bytes)
    episode = finished(journal)

    (found,) = episode.pictures.values()
    last_ns = int(episode.t_observed_ns[-1])
    from_ns = int(found.t_captured_ns[-1]) if len(found) else BEGAN_NS
    assert events(episode) == [(max(from_ns, BEGAN_NS), last_ns, Trouble.LOST, round((last_ns - from_ns) * 30e-9))]


def test_a_camera_without_a_film_was_lost_all_the_time(tmp_path: Path) -> None:
    journal, path = recorded(tmp_path)
    path.unlink()
    episode = finished(journal)

    assert [len(found) for found in episode.pictures.values()] == [0]
    assert events(episode) == [(BEGAN_NS, int(episode.t_observed_ns[-1]), Trouble.LOST, 21)]


@pytest.mark.parametrize("damage", [b"", b"armshare-fi", b"something else entirely, and long enough"])
def test_a_film_that_is_none_is_set_aside_and_its_camera_was_lost(tmp_path: Path, damage: bytes) -> None:
    journal, path = recorded(tmp_path)
    path.write_bytes(damage)
    aside: list[Path] = []
    episode = finished(journal, set_aside=lambda found, _error: aside.append(found))

    assert aside == [path]
    assert events(episode)[0][2] == Trouble.LOST


def test_the_film_of_another_camera_is_set_aside(tmp_path: Path) -> None:
    journal, _ = recorded(tmp_path, said=head(width=2 * WIDTH))
    aside: list[Exception] = []
    finish(journal, tmp_path / "e.h5", set_aside=lambda _found, error: aside.append(error))

    assert "as the episode began with it" in str(aside[0])


@pytest.mark.parametrize("what", ["taken", "arrived", "empty"])
def test_a_film_out_of_order_is_cut_there_and_that_is_said(tmp_path: Path, what: str) -> None:
    made = pictures(H264, BEGAN_NS + 700_000_000)
    wrong = {
        "taken": {"t_captured_ns": made[14].t_captured_ns},
        "arrived": {"t_arrived_ns": made[13].t_arrived_ns},
        "empty": {"data": b""},
    }
    made[15] = dataclasses.replace(made[15], **wrong[what])
    journal, _ = recorded(tmp_path, made=made)
    episode = finished(journal)

    (found,) = episode.pictures.values()
    assert int(found.t_captured_ns[-1]) == made[14].t_captured_ns
    assert [event[:3:2] for event in events(episode)] == [(made[14].t_captured_ns, Trouble.DROPPED)]


def test_pictures_beyond_what_an_episode_may_have_are_dropped_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub would refuse them, and with them the whole episode."""
    made = pictures(H264, BEGAN_NS + 700_000_000)
    takes_ns = sum(decoding_ns(H264, WIDTH * HEIGHT, 1, len(picture.data)) for picture in made[:16])
    monkeypatch.setattr("recorder.file.journal.Room", lambda: Room(decoding_ns=takes_ns))
    journal, _ = recorded(tmp_path, made=made)
    episode = finished(journal)

    (found,) = episode.pictures.values()
    assert int(found.t_captured_ns[-1]) == made[15].t_captured_ns
    assert [event[:3:2] for event in events(episode)] == [(made[15].t_captured_ns, Trouble.DROPPED)]


def test_an_episode_that_a_crash_cut_off_keeps_its_pictures_up_to_there(tmp_path: Path) -> None:
    journal, _ = recorded(tmp_path, ended=False)
    file = tmp_path / "episode-1.h5"

    assert not finish(journal, file)
    episode = read_episode(file)
    assert episode.end.reason.value == "host_lost"
    assert episode.steps == 10, "a second of every two halves"
    (found,) = episode.pictures.values()
    assert len(found) > 10
    assert found.t_captured_ns[-1] <= episode.t_observed_ns[-1]


def test_the_same_film_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (record(tmp_path / name, seen()) for name in ("a", "b") if (tmp_path / name).mkdir() is None)

    assert first.read_bytes() == second.read_bytes()


def test_pictures_are_not_read_but_mapped(tmp_path: Path) -> None:
    file = record(tmp_path, seen())
    with h5py.File(file) as found:
        at = found["cameras/front/bytes"].id.get_offset()
        data = found["cameras/front/bytes"][:]
    apart = Reader()
    try:
        for episode in (read_episode(file), apart.read(file, plain=True)):
            kept = episode.pictures["front"].data
            assert bytes(kept) == data.tobytes()
            with file.open("r+b") as raw:  # what maps the file sees what is written to it
                raw.seek(at)
                raw.write(bytes([data[0] ^ 0xFF]))
            assert kept[0] == data[0] ^ 0xFF
            with file.open("r+b") as raw:
                raw.seek(at)
                raw.write(bytes([data[0]]))
    finally:
        apart.close()


@pytest.mark.parametrize(
    "how", [{"compression": "gzip", "chunks": (1000,)}, {"chunks": (777,)}, {"compression": "lzf"}]
)
def test_packed_pictures_are_unpacked_by_anyone_but_a_hub(tmp_path: Path, how: dict[str, Any]) -> None:
    file = record(tmp_path, seen())
    good = read_episode(file)
    expected = {name: bytes(found.data) for name, found in good.pictures.items()}
    root = content_root(good.arrays)
    with h5py.File(file, "r+") as packed:
        for name in expected:
            replace(f"cameras/{name}/bytes", packed[f"cameras/{name}/bytes"][:], **how)(packed)
    apart = Reader()
    try:
        for episode in (read_episode(file), apart.read(file)):
            assert {name: bytes(found.data) for name, found in episode.pictures.items()} == expected
            assert content_root(episode.arrays) == root
        with pytest.raises(ForbiddenStorageError):
            apart.read(file, plain=True)
    finally:
        apart.close()


def of_camera(kind: str, change: Any) -> Change:
    """Return what changes one of the camera's datasets."""
    path = f"cameras/front/{kind}"
    return lambda file: replace(path, change(file[path][:]))(file)


def a_camera_more(file: h5py.File) -> None:
    file.copy("cameras/front", "cameras/rear")


def a_group_more(file: h5py.File) -> None:
    file.create_group("cameras/front/more/deep")


def never_written(file: h5py.File) -> None:
    del file["cameras/front/bytes"]
    file.create_dataset("cameras/front/bytes", (PICTURES_BYTES_MAX + 1,), "|u1", chunks=(1 << 20,))


WRONG: dict[str, tuple[Change, type[EpisodeError]]] = {
    "a dataset less": (lambda file: file.__delitem__("cameras/front/marks"), MissingDatasetError),
    "a camera less": (lambda file: file.__delitem__("cameras/front"), MissingDatasetError),
    "a camera more": (a_camera_more, UnknownDatasetError),
    "a group more": (a_group_more, UnknownDatasetError),
    "a key less": (of_camera("key", lambda found: found[:-1]), DatasetShapeError),
    "an end less": (of_camera("end", lambda found: found[:-1]), DatasetShapeError),
    "a last picture that ends elsewhere": (of_camera("end", lambda found: found - 1), PicturesUncutError),
    "an empty picture": (of_camera("end", lambda found: np.maximum(found, found[2])), PicturesUncutError),
    "an end before its beginning": (of_camera("end", lambda found: np.sort(found)[::-1].copy()), PicturesUncutError),
    "an end beyond numbers": (
        of_camera("end", lambda found: np.concatenate([[-(2**62)], [2**62], found[2:]])),
        PicturesUncutError,
    ),
    "bytes that nobody cuts": (of_camera("bytes", lambda found: np.append(found, np.uint8(0))), PicturesUncutError),
    "more pictures than there may be": (never_written, TooLargeError),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_camera_is_refused_by_name_here_and_apart(tmp_path: Path, what: str) -> None:
    change, expected = WRONG[what]
    file = record(tmp_path, seen())
    with h5py.File(file, "r+") as found:
        change(found)
    apart = Reader()
    try:
        for read in (read_episode, apart.read):
            with pytest.raises(EpisodeError) as refused:
                read(file)
            assert type(refused.value) is expected
    finally:
        apart.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 5000},
        {"width": 4096, "height": 4096},
        {"fps": 0.0},
        {"codec": "av1"},
        {"timed": "somehow"},
        {"depth_unit_m": 0.001},
        {"intrinsics": (1.0, 2.0)},
        {"extrinsics": (1.0,)},
        {"name": "the front"},
    ],
)
def test_a_camera_that_no_episode_can_have_is_refused_when_it_begins(tmp_path: Path, changed: dict[str, Any]) -> None:
    start, _, _ = fake_episode(1, simulated=False, cameras=(msgspec.structs.replace(head(), **changed),))

    with pytest.raises(MetaError, match="camera"):
        EpisodeWriter.start(tmp_path / "e.journal", start, {})
    assert list(tmp_path.iterdir()) == []


def test_who_drove_and_what_was_said_are_in_the_file(tmp_path: Path) -> None:
    episode = read_episode(record(tmp_path, seen()))

    assert msgspec.to_builtins(episode.meta.driven_by) == {"kind": "policy", "name": "reaching", "sha256": "ab" * 32}
    assert [note.text for note in episode.meta.notes] == ["It begins.", "It has it."]
    assert episode.arrays["stage"].tolist() == [0] * 7 + [1] * 7 + [2]
    assert not episode.arrays["commanded/intervention"].any()


def test_h5py_alone_gets_a_picture_and_what_was_done_meanwhile(tmp_path: Path) -> None:
    """What docs/ and FORMAT.md promise to whoever has none of our code."""
    path = record(tmp_path, seen())

    with h5py.File(path) as file:
        joints = file["observation/joint_position"][:]
        camera = file["cameras/wrist"]
        shown = np.searchsorted(camera["t_captured_mono_ns"][:], file["time/t_observed_mono_ns"][:], side="right") - 1
        cut = np.append(0, camera["end"][:])
        jpeg = camera["bytes"][cut[shown[5]] : cut[shown[5] + 1]]
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)

    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert joints.shape == (COUNT + 1, 3)
    assert shown[0] == 0
    assert (np.diff(shown) > 0).all()


def test_h5py_and_pyav_get_the_pictures_of_h264(tmp_path: Path) -> None:
    import av

    path = record(tmp_path, seen())

    with h5py.File(path) as file:
        data, end = file["cameras/front/bytes"][:], file["cameras/front/end"][:]
    decoder = av.CodecContext.create("h264", "r")
    packets = [av.Packet(one.tobytes()) for one in np.split(data, end[:-1])]
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]

    assert len(frames) == len(end)
    assert np.array_equal(frames[5].to_ndarray(format="rgb24"), Decoder(read_episode(path).pictures["front"]).frame(5))


def test_a_film_that_nobody_ends_is_read_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr("teleop.cameras.film._WRITER_S", 0.05)
    journal, path = recorded(tmp_path)
    with path.open("rb") as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        (found,) = finished(journal).pictures.values()
    assert len(found) > 10


def test_film_pictures_are_named_by_their_camera(tmp_path: Path) -> None:
    assert film_of(tmp_path / "episode-1.journal", "front").name == "episode-1.front.film"
    assert isinstance(pictures(H264, BEGAN_NS)[0], FilmPicture)
