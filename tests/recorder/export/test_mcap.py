"""The MCAP export, read by MCAP's own reader and Foxglove's own schemas."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from recorder.export.demonstrations import demonstrations
from recorder.export.errors import TargetError
from recorder.export.mcap import METADATA, export
from recorder.file.episode import Episode, read_episode
from recorder.pictures.channel import PictureCodec
from teleop.wire.messages import Command
from tests.recorder.bundles import good_bundle
from tests.recorder.export.drawn import drawn, near
from tests.recorder.export.real import TROUBLE, filmed_bundle
from tests.recorder.factory import STARTED_NS, WALLET

SIZE = (64, 48)


class Read(NamedTuple):
    """A file, as a stranger's reader sees it."""

    topics: dict[str, list[tuple[int, int, Any]]]
    """Topic -> (log time, publish time, decoded message), in order of the log times."""
    schemas: dict[str, str]
    metadata: dict[str, str]
    attachments: dict[str, bytes]
    log_times: list[int]


def read(path: Path) -> Read:
    topics: dict[str, list[tuple[int, int, Any]]] = defaultdict(list)
    schemas: dict[str, str] = {}
    log_times: list[int] = []
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()], validate_crcs=True)
        for schema, channel, message in reader.iter_messages(log_time_order=False):
            assert schema is not None
            if schema.encoding == "protobuf":
                decode = DecoderFactory().decoder_for(channel.message_encoding, schema)
                said = decode(message.data)
            else:
                said = json.loads(message.data)
                assert set(said) == set(json.loads(schema.data)["properties"])
            topics[channel.topic].append((message.log_time, message.publish_time, said))
            schemas[channel.topic] = schema.name
            log_times.append(message.log_time)
        metadata = {one.name: dict(one.metadata) for one in reader.iter_metadata()}
        attachments = {one.name: one.data for one in reader.iter_attachments()}
    return Read(dict(topics), schemas, metadata[METADATA], attachments, log_times)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [good_bundle(folder, episode=f"e{number}", steps=12 + number, seed=number) for number in range(2)]


@pytest.fixture(scope="module")
def folder(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = demonstrations(
        bundles, action="joint_position", cameras=["front"], size=SIZE, draw=drawn(PictureCodec.H264)
    )
    return export(chosen, tmp_path_factory.mktemp("mcap") / "out").path


@pytest.fixture(scope="module")
def episode(bundles: list[Path]) -> Episode:
    return read_episode(bundles[0] / "episode.h5")


@pytest.fixture(scope="module")
def seen(folder: Path) -> Read:
    return read(folder / "000000-e0.mcap")


def wall(episode: Episode, mono_ns: int) -> int:
    return STARTED_NS + int(mono_ns) - int(episode.meta.t_mono_ns)


def test_each_episode_is_one_file_with_every_channel_of_it(folder: Path, seen: Read, episode: Episode) -> None:
    assert [path.name for path in sorted(folder.iterdir())] == ["000000-e0.mcap", "000001-e1.mcap"]
    n, commands = episode.steps, len(list(episode.commands()))
    assert {topic: len(messages) for topic, messages in seen.topics.items()} == {
        "/joint_states": n + 1,
        "/tf": 2 * n + 1,
        "/observation/gripper_position": n + 1,
        "/progress": n + 1,
        "/command": commands,
        "/action": n,
        "/applied/joint_states": n,
        "/safety": 1,
        "/limits": len(episode.arrays["limits"]),
        "/log": 2,
        "/camera/front/video": n + 1,
    }
    assert commands > n
    assert len(episode.arrays["limits"]) == 1
    assert seen.log_times == sorted(seen.log_times)
    assert len(read(folder / "000001-e1.mcap").topics["/action"]) == n + 1


def test_its_messages_have_foxgloves_schemas_or_one_of_ours_with_the_same_keys(seen: Read) -> None:
    assert seen.schemas["/joint_states"] == seen.schemas["/applied/joint_states"] == "foxglove.JointStates"
    assert (seen.schemas["/tf"], seen.schemas["/log"]) == ("foxglove.FrameTransforms", "foxglove.Log")
    assert seen.schemas["/camera/front/video"] == "foxglove.CompressedVideo"
    assert seen.schemas["/command"] == "armshare.Command"


def test_times_are_the_wall_clock_at_the_start_and_the_monotonic_one_since(seen: Read, episode: Episode) -> None:
    observed = [wall(episode, at) for at in episode.t_observed_ns]
    sent = [wall(episode, at) for at in episode.t_sent_ns]
    assert [log for log, _, _ in seen.topics["/joint_states"]] == observed
    assert [said.timestamp.ToNanoseconds() for _, _, said in seen.topics["/joint_states"]] == observed
    assert [log for log, _, _ in seen.topics["/applied/joint_states"]] == sent
    assert [log for log, _, _ in seen.topics["/action"]] == sent
    arrived = [wall(episode, row.arrived_ns) for row in episode.commands()]
    assert [log for log, _, _ in seen.topics["/command"]] == arrived


def test_joints_carry_their_names_and_the_fingers_that_the_gripper_moves(seen: Read, episode: Episode) -> None:
    last = seen.topics["/joint_states"][-1][2].joints
    assert [joint.name for joint in last] == ["joint_1", "joint_2", "joint_3", "finger"]
    assert [joint.position for joint in last[:3]] == episode.observation("joint_position")[-1].tolist()
    assert [joint.velocity for joint in last[:3]] == episode.observation("joint_velocity")[-1].tolist()
    assert last[3].position == pytest.approx(0.04 * episode.observation("gripper_position")[-1, 0])
    assert not last[3].HasField("velocity")


def test_poses_are_frames_in_the_robots_base(seen: Read, episode: Episode) -> None:
    transforms = {one.child_frame_id: one for one in seen.topics["/tf"][0][2].transforms}
    assert set(transforms) == {"ee_pose", "cube_pose"}
    x, y, z, *turn = episode.observation("cube_pose")[0]
    cube = transforms["cube_pose"]
    assert (cube.parent_frame_id, cube.translation.x, cube.translation.y, cube.translation.z) == ("base", x, y, z)
    assert [cube.rotation.x, cube.rotation.y, cube.rotation.z, cube.rotation.w] == turn
    applied = {one.child_frame_id for _, _, said in seen.topics["/tf"] for one in said.transforms}
    assert applied == {"ee_pose", "cube_pose", "applied/ee_pose"}


def test_commands_limits_and_progress_are_what_the_episode_says(seen: Read, episode: Episode) -> None:
    rows = list(episode.commands())
    said = [message for _, _, message in seen.topics["/command"]]
    assert [(one["step"], one["admitted"]) for one in said] == [(row.step, row.admitted) for row in rows]
    decoded = [Command.decode(row.data) for row in rows]
    assert [one["seq"] for one in said] == [command.seq for command in decoded]
    assert [one["values"] for one in said] == [command.values.tolist() for command in decoded]
    assert {one["mode"] for one in said} == {"joint_position"}
    (limit,) = [message for _, _, message in seen.topics["/limits"]]
    assert limit == {"step": 5, "rule": "joint_velocity", "axis": 0, "requested": 3.0, "applied": 2.0}
    progress = [message for _, _, message in seen.topics["/progress"]]
    assert [one["progress"] for one in progress] == episode.arrays["progress"].tolist()
    assert [one["success"] for one in progress] == [bool(one) for one in episode.arrays["success"]]
    assert seen.topics["/safety"][0][2] == {"step": 0, "state": "driving"}
    assert [said.message for _, _, said in seen.topics["/log"]] == ["e0: Lift the cube.", "finished; it succeeded"]


def test_pictures_are_those_that_are_stored_and_decode_in_order(seen: Read, episode: Episode) -> None:
    stored = drawn(PictureCodec.H264)(episode, "front", *SIZE)
    messages = seen.topics["/camera/front/video"]
    assert [said.data for _, _, said in messages] == [stored.encoded(index) for index in range(len(stored))]
    assert [published for _, published, _ in messages] == [wall(episode, at) for at in episode.t_observed_ns]
    assert {(said.format, said.frame_id) for _, _, said in messages} == {("h264", "front")}
    decoder = av.CodecContext.create("h264", "r")
    shown = [frame for _, _, said in messages for frame in decoder.decode(av.Packet(said.data))]
    shown += decoder.decode(None)
    assert len(shown) == episode.steps + 1
    assert near(shown[0].to_ndarray(format="rgb24"), 0)
    assert near(shown[-1].to_ndarray(format="rgb24"), episode.steps)


@pytest.mark.parametrize("codec", [PictureCodec.JPEG, PictureCodec.PNG])
def test_single_pictures_are_compressed_images(bundles: list[Path], tmp_path: Path, codec: PictureCodec) -> None:
    chosen = demonstrations(
        bundles[:1], action="joint_position", cameras=["left", "right"], size=SIZE, draw=drawn(codec)
    )
    made = read(export(chosen, tmp_path / "out").path / "000000-e0.mcap")
    for camera in ("left", "right"):
        messages = [said for _, _, said in made.topics[f"/camera/{camera}/image"]]
        assert {said.format for said in messages} == {codec.value}
        assert len(messages) == 13
        pixels = cv2.imdecode(np.frombuffer(messages[-1].data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert near(pixels, 12)


def test_who_made_it_and_what_proves_it_ride_along(bundles: list[Path], seen: Read) -> None:
    assert (seen.metadata["episode"], seen.metadata["operator"], seen.metadata["success"]) == (
        "e0",
        WALLET.address,
        "true",
    )
    assert seen.metadata["digest"] == json.loads((bundles[0] / "signatures.json").read_bytes())["digest"]
    documents = {
        name: (bundles[0] / name).read_bytes() for name in ("manifest.json", "signatures.json", "receipt.json")
    }
    assert seen.attachments == documents


def test_one_episode_may_be_a_file_and_several_may_not(bundles: list[Path], folder: Path, tmp_path: Path) -> None:
    made = export(demonstrations(bundles[:1], action="joint_position"), tmp_path / "out.mcap")
    assert (made.files, made.path.is_file()) == (1, True)
    assert set(read(made.path).topics) == set(read(folder / "000000-e0.mcap").topics) - {"/camera/front/video"}
    with pytest.raises(TargetError, match="need a folder"):
        export(demonstrations(bundles, action="joint_position"), tmp_path / "two.mcap")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mcap"]


def test_the_same_bundles_give_the_same_files(bundles: list[Path], tmp_path: Path) -> None:
    chosen = demonstrations(bundles, action="joint_delta", cameras=["front"], size=SIZE, draw=drawn())
    first, second = (export(chosen, tmp_path / name).path for name in ("a", "b"))
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Read, Episode]:
    """A real robot's episode, with two cameras."""
    work = tmp_path_factory.mktemp("filmed")
    bundle = filmed_bundle(work)
    made = export(demonstrations([bundle], action="joint_position"), work / "out.mcap")
    return read(made.path), read_episode(bundle / "episode.h5")


def test_a_real_robots_pictures_are_copied_with_when_they_were_taken_and_when_they_came(
    filmed: tuple[Read, Episode],
) -> None:
    seen, episode = filmed
    for name, topic in (("front", "/camera/front/video"), ("wrist", "/camera/wrist/image")):
        stored, messages = episode.pictures[name], seen.topics[topic]
        assert len(messages) == len(stored) > episode.steps
        assert [said.data for _, _, said in messages] == [stored.encoded(index) for index in range(len(stored))]
        assert [publish for _, publish, _ in messages] == [wall(episode, at) for at in stored.t_captured_ns]
        assert {log - publish for log, publish, _ in messages} == {3_000_000}
        assert [said.timestamp.ToNanoseconds() for _, _, said in messages] == [publish for _, publish, _ in messages]
    assert seen.log_times == sorted(seen.log_times)


def test_a_key_carries_what_a_decoder_needs_to_begin_there(filmed: tuple[Read, Episode]) -> None:
    """As Foxglove's schema asks: Annex B, one picture to a message, and parameter sets before each key."""
    seen, episode = filmed
    for index, (_, _, said) in enumerate(seen.topics["/camera/front/video"]):
        kinds = [int(data[0]) & 31 for data in re.split(rb"\x00\x00\x01", said.data)[1:]]
        if episode.pictures["front"].key[index]:
            assert {7, 8, 5} <= set(kinds)
        else:
            assert not {7, 5} & set(kinds)
        assert said.data.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01"))
    assert episode.pictures["front"].key.sum() > 3


def test_a_camera_says_where_it_is_how_it_sees_and_what_was_wrong(filmed: tuple[Read, Episode]) -> None:
    seen, episode = filmed
    (at, _, said) = seen.topics["/camera/front/calibration"][0]
    assert (at, said.frame_id, said.width, said.height) == (STARTED_NS, "front", 64, 48)
    assert list(said.K) == [60.0, 0.0, 32.0, 0.0, 60.0, 24.0, 0.0, 0.0, 1.0]
    assert (list(said.D), said.distortion_model) == ([], "plumb_bob")
    placed = {one.child_frame_id: one for _, _, message in seen.topics["/tf"] for one in message.transforms}
    assert (placed["wrist"].parent_frame_id, placed["wrist"].translation.z, placed["wrist"].rotation.w) == (
        "tool",
        0.1,
        1.0,
    )
    ((_, _, event),) = seen.topics["/camera/front/events"]
    assert {pair.key: pair.value for pair in event.metadata} == {"trouble": "missing", "pictures": "3"}
    assert event.start_time.ToNanoseconds() == wall(episode, TROUBLE.t_from_ns)
    assert event.end_time.ToNanoseconds() == wall(episode, TROUBLE.t_to_ns)
    ((_, _, mark),) = seen.topics["/camera/front/marks"]
    late = int(np.flatnonzero(episode.arrays["cameras/front/marks"])[0])
    assert mark == {"picture": late, "frozen": False, "black": False, "late": True}
    assert not {"/camera/wrist/events", "/camera/wrist/marks"} & set(seen.topics)


def test_what_was_said_while_driving_is_in_the_log_at_its_time(filmed: tuple[Read, Episode]) -> None:
    seen, episode = filmed
    assert [(at, said.name, said.message) for at, _, said in seen.topics["/log"]] == [
        (STARTED_NS, "episode", "filmed: Lift the cube."),
        (STARTED_NS, "note", "It begins."),
        (wall(episode, int(episode.end.t_mono_ns)), "note", "It has it."),
        (wall(episode, int(episode.end.t_mono_ns)), "episode", "finished; it succeeded"),
    ]
    assert (seen.metadata["driver"], seen.metadata["driver_name"]) == ("policy", "reaching")
