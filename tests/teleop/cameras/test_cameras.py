"""Cameras over real sockets and the real camera process: simulated and real ones, one encoding for all who look."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import cv2
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from websockets.asyncio.client import connect

from armshare.platform.processes import listen
from teleop.cameras.encoders import open_encoder
from teleop.cameras.spec import CameraError, CameraSpec, camera_of, missing_device
from teleop.host.cameras import process as host_cameras
from teleop.hub.robots.cameras import Cameras
from teleop.hub.server import serving
from teleop.hub.server.serving import framed
from teleop.hub.sockets import SEEN_PER_S
from teleop.operator.driver import RefusedError
from teleop.operator.viewer import Looking
from teleop.wire.credits import CREDITS_MAX
from teleop.wire.frames import FRAME_BYTES_MAX, Codec, Frame, Seen
from teleop.wire.messages import JSON_BYTES_MAX, PROTOCOL, Mode, Safety
from tests.teleop.platform import hosted, hub_at, platform
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.anyio
DRIVING = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def token_of(driver) -> str:
    return driver.http.headers["Authorization"].removeprefix("Bearer ")


@asynccontextmanager
async def driven(driver, robot: str):
    """A drive that goes on in the background; where a busy machine let it expire, it is pressed anew."""
    await driver.join(robot, "lift")
    await driver.begin()
    await driver.armed()

    async def drive() -> None:
        while True:
            pressed = driver.state.safety is not Safety.EXPIRED
            await driver.command(Mode.EE_TWIST, DRIVING, dead_man=pressed)
            await asyncio.sleep(0.04)

    task = asyncio.create_task(drive())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def opened(frame: Frame) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(frame.payload, np.uint8), cv2.IMREAD_COLOR)


async def test_whoever_looks_sees_what_the_camera_sees_of_the_newest_state(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        robot = house.robot_key.address
        cameras = (await driver.call("GET", f"/api/robots/{robot}"))["descriptor"]["cameras"]
        assert [camera["name"] for camera in cameras] == ["front", "side", "wrist"]
        async with driven(driver, robot), Looking(house.url, token_of(driver), robot, "front") as looking:
            assert looking.codec == "jpeg"
            frames = []
            while len(frames) < 4 or np.array_equal(opened(frames[0]), opened(frames[-1])):  # until the arm moves
                frames.append(await looking.next())
                await looking.answer(frames[-1])
            seqs, states = [frame.seq for frame in frames], [frame.state for frame in frames]
            assert seqs == sorted(set(seqs))
            assert states == sorted(set(states))
            assert states[0] > 0
            assert abs(driver.state.seq - states[-1]) < 40, "of this lease, and of now"
            pictures = [opened(frame) for frame in frames]
            assert {picture.shape for picture in pictures} == {(480, 640, 3)}
            assert pictures[0].std() > 9, "a scene, not a blank: half of the dullest of 80 scenes"
        census = await driver.call("GET", "/api/counts")
        assert census["looking"] == 0


@pytest.mark.slow
async def test_h264_is_chosen_by_who_likes_it_and_decodes_frame_by_frame(tmp_path):
    import av

    async with platform(tmp_path) as house, house.driver() as driver:
        robot, decoder = house.robot_key.address, av.CodecContext.create("h264", "r")
        looked = Looking(house.url, token_of(driver), robot, "front", ["vp9", "h264", "jpeg"])
        async with driven(driver, robot), looked as looking:
            assert looking.codec == "h264"
            shapes, kinds = [], []
            while len(shapes) < 6:
                frame = await looking.next()
                await looking.answer(frame, want_key=len(shapes) == 3)
                kinds.append(frame.key)
                shapes += [out.to_ndarray(format="rgb24").shape for out in decoder.decode(av.Packet(frame.payload))]
            assert set(shapes) == {(480, 640, 3)}
            assert kinds[0], "the first stands for itself"
            assert not all(kinds)
            while not kinds[-1]:  # what was asked for in between comes
                frame = await looking.next()
                await looking.answer(frame)
                kinds.append(frame.key)


async def test_one_encoding_serves_all_and_a_slow_viewer_slows_nobody_and_sees_the_present(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        robot, token = house.robot_key.address, token_of(driver)
        async with (
            driven(driver, robot),
            Looking(house.url, token, robot, "front") as quick,
            Looking(house.url, token, robot, "front") as slow,
        ):
            held = [await slow.next(), await slow.next()]  # and answers none
            seen = {}
            while len(seen) < 15:
                frame = await quick.next()
                await quick.answer(frame)
                seen[frame.seq] = frame.payload
            for frame in held:
                assert seen.get(frame.seq, frame.payload) == frame.payload, "the very bytes"
            await slow.answer(held[-1])
            after = await slow.next()
            assert after.seq > held[-1].seq + 5, "what was new meanwhile was not queued"
            dock = house.hub.docks[robot]
            assert dock.cameras.watching == 2


async def test_whoever_answers_what_asks_for_it_and_no_more_sees_on_and_on(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        robot = house.robot_key.address
        async with driven(driver, robot), Looking(house.url, token_of(driver), robot, "front") as looking:
            frames = [await looking.read() for _ in range(3 * CREDITS_MAX)]
            seqs = [frame.seq for frame in frames]
            assert seqs == sorted(set(seqs))
            assert sum(frame.asks for frame in frames) < len(frames), "several share an answer"


def test_a_socket_that_takes_no_more_is_not_written_to_and_gets_the_newest_once_it_does():
    class Pipe:
        free, written = False, []

        def write(self, message: bytes) -> None:
            self.written.append(message)

    asked, pipe = [], Pipe()
    cameras = Cameras([{"name": "front", "codecs": ["jpeg"]}], asked.append)
    viewer = cameras.join("front", ["jpeg"])
    shown = [Frame(0, Codec.JPEG, True, 8, 8, seq, 0, 0, bytes([seq])) for seq in range(1, 5)]
    cameras.frame(shown[0].encode())
    viewer.socket = pipe
    cameras.frame(shown[1].encode())
    assert pipe.written == []
    pipe.free = True
    viewer.send(0)
    cameras.frame(shown[2].encode())
    cameras.frame(shown[3].encode())
    assert pipe.written == [framed(shown[1].encode()), framed(replace(shown[2], asks=True).encode())], "two credits"
    viewer.seen(Seen(0, Codec.JPEG, 3))
    assert len(pipe.written) == 3


@asynccontextmanager
async def filming(house):
    """The socket of a host's cameras, for a test that says itself what they send."""
    token = house.hub.docks[house.robot_key.address].upload_token
    async with connect(house.url.replace("http", "ws") + "/ws/host/camera", proxy=None) as host:
        await host.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": token}))
        yield host


async def test_a_viewer_goes_on_where_the_camera_was_opened_anew_and_counts_from_one_again(tmp_path):
    async with (
        platform(tmp_path) as house,
        house.driver() as driver,
        filming(house) as host,
        Looking(house.url, token_of(driver), house.robot_key.address, "front") as looking,
    ):
        for seq in (100, *range(1, 10)):
            await host.send(Frame(0, Codec.JPEG, True, 8, 8, seq, 0, 0, b"?").encode())
            assert (await looking.read()).seq == seq


async def test_a_viewer_that_reads_nothing_at_all_is_let_go(tmp_path, monkeypatch):
    config = serving.config

    def impatient(app):
        found = config(app)
        found.ws_ping_interval = found.ws_ping_timeout = 1.5
        return found

    def narrow(host: str, port: int) -> socket.socket:
        """As far away: on this machine alone, sockets hold megabytes."""
        listener = listen(host, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        return listener

    monkeypatch.setattr(serving, "config", impatient)
    monkeypatch.setattr("tests.teleop.platform.listen", narrow)
    async with (
        platform(tmp_path) as house,
        house.driver() as driver,
        filming(house) as host,
        Looking(house.url, token_of(driver), house.robot_key.address, "front") as looking,
    ):
        looking._socket.transport.pause_reading()
        for seq in range(1, 4):
            await host.send(Frame(0, Codec.JPEG, True, 8, 8, seq, 0, 0, os.urandom(200_000)).encode())
        async with asyncio.timeout(15):
            while (await driver.call("GET", "/api/counts"))["looking"]:
                pass
        looking._socket.transport.abort()


async def test_nothing_is_drawn_where_nobody_looks(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        robot = house.robot_key.address
        async with driven(driver, robot):
            assert house.host.cameras._child is None
            async with Looking(house.url, token_of(driver), robot, "wrist") as looking:
                await looking.answer(await looking.next())
            process = house.host.cameras._child
            while house.host.cameras._streams.streams:
                await driver.next_state()
            count = house.hub.counts["frames"]
            for _ in range(20):
                await driver.next_state()
            assert house.hub.counts["frames"] <= count + 1, "one may have been on its way"
            async with Looking(house.url, token_of(driver), robot, "side") as looking:
                assert (await looking.next()).camera == 1
            assert house.host.cameras._child is process
    assert process.process.returncode is not None, "it ends with its host"


async def test_a_camera_process_that_dies_is_started_again_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(host_cameras, "_PAUSES_S", (0.05,))
    async with platform(tmp_path) as house, house.driver() as driver:
        robot = house.robot_key.address
        async with driven(driver, robot), Looking(house.url, token_of(driver), robot, "front") as looking:
            for _ in range(2):
                last = await looking.read()
                first = house.host.cameras._child
                first.process.kill()
                await asyncio.to_thread(first.process.wait)
                for _ in range(5):  # the drive goes on
                    await driver.next_state()
                while (frame := await looking.read()).seq > last.seq:  # another counts from one again
                    last = frame
                assert house.host.cameras._child is not first


async def test_a_camera_process_that_dies_while_nobody_looks_is_started_by_the_next_who_does(tmp_path, monkeypatch):
    monkeypatch.setattr(host_cameras, "_PAUSES_S", (0.05,))
    async with platform(tmp_path) as house, house.driver() as driver:
        robot = house.robot_key.address
        async with driven(driver, robot):
            async with Looking(house.url, token_of(driver), robot, "front") as looking:
                await looking.next()
            while house.host.cameras._streams.streams:
                await driver.next_state()
            house.host.cameras._child.process.kill()
            while house.host.cameras._child is not None:
                await driver.next_state()
            async with Looking(house.url, token_of(driver), robot, "front") as looking:
                await looking.next()


@pytest.fixture
def film(tmp_path):
    """A file that OpenCV plays as a camera: frame n is as bright as n."""
    path = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for number in range(60):
        writer.write(np.full((240, 320, 3), 4 * number, np.uint8))
    writer.release()
    return path


async def test_a_real_camera_takes_the_same_path_whether_or_not_anyone_drives(tmp_path, film):
    robot = Puppet(replace(PANDA, simulated=False))
    cameras = [CameraSpec("desk", 320, 240, device=film)]
    async with (
        hub_at(tmp_path) as (url, hub, registry),
        hosted(url, hub, registry, robot, cameras=cameras) as house,
        house.driver() as driver,
    ):
        address = house.robot_key.address
        async with Looking(url, token_of(driver), address, "desk") as looking:
            frames = []
            while len(frames) < 5:
                frames.append(await looking.next())
                await looking.answer(frames[-1])
        brightness = [float(opened(frame).mean()) for frame in frames]
        assert {(frame.width, frame.height, frame.state) for frame in frames} == {(320, 240, 0)}
        assert len(set(brightness)) > 1, "it plays"
        assert [frame.t_host_us for frame in frames] == sorted(frame.t_host_us for frame in frames)


def test_a_picture_of_much_detail_is_no_larger_than_a_frame_may_be():
    coarse = np.random.default_rng(0).integers(0, 255, (270, 480, 3), np.uint8)
    fine, plain = cv2.resize(coarse, (1920, 1080)), np.zeros((1080, 1920, 3), np.uint8)
    encoder = open_encoder(Codec.JPEG, 1920, 1080)
    sizes = [len(encoder.encode(picture, 0, key=False)[0]) for picture in (fine, plain, fine)]
    assert 0.5 * FRAME_BYTES_MAX < sizes[0] <= FRAME_BYTES_MAX
    assert sizes[2] == sizes[0]


def test_h264_of_much_detail_is_no_larger_than_a_frame_may_be_and_decodes():
    import av

    random = np.random.default_rng(0)
    encoder, decoder = open_encoder(Codec.H264, 1920, 1080), av.CodecContext.create("h264", "r")
    for number in range(6):
        picture = random.integers(0, 255, (1080, 1920, 3), np.uint8)
        data, key = encoder.encode(picture, number * 33_333, key=number in (0, 3))
        assert key == (number in (0, 3))
        assert len(data) <= FRAME_BYTES_MAX
        assert len(decoder.decode(av.Packet(data))) == 1


async def test_what_waits_for_a_reader_that_was_slow_goes_when_it_reads_again():
    app, paused, held = FastAPI(), asyncio.Event(), asyncio.Event()

    @app.websocket("/")
    async def serve(websocket: WebSocket) -> None:
        await websocket.accept()
        reader = serving.framed_socket(websocket.scope)
        while reader.free:
            reader.write(framed(b"x" * 65536))
        reader.freed = lambda: reader.write(framed(b"what waited"))
        paused.set()
        await held.wait()

    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(serving.config(app))
        serving_it = asyncio.create_task(server.serve([listener]))
        try:
            async with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}", proxy=None, max_queue=1) as reader:
                await paused.wait()
                while await reader.recv() != b"what waited":
                    pass
                held.set()
        finally:
            server.should_exit = True
            await serving_it


async def test_a_slow_viewer_of_h264_slows_nobody(tmp_path, film):
    robot = Puppet(replace(PANDA, simulated=False))
    cameras = [CameraSpec("desk", 320, 240, device=film)]
    async with (
        hub_at(tmp_path) as (url, hub, registry),
        hosted(url, hub, registry, robot, cameras=cameras) as house,
        house.driver() as driver,
    ):
        looked = url, token_of(driver), house.robot_key.address, "desk", ["h264"]
        async with Looking(*looked) as quick, Looking(*looked) as slow:
            await slow.next()  # and answers nothing
            frames = [await quick.read() for _ in range(60)]
    keys = [frame.key for frame in frames]
    assert 2 < sum(keys) < 20, "the slow one has key frames asked for, four a second at most"
    seqs = [frame.seq for frame in frames]
    assert seqs[-1] - seqs[0] < 75, "all others go to whoever needs none"


@pytest.mark.parametrize(
    ("camera", "codecs", "code", "said"),
    [
        ("ceiling", ["jpeg"], "unknown_camera", "expected one of ['front', 'side', 'wrist']"),
        ("front", ["vp9"], "codec", "expected one of ['jpeg', 'h264']"),
    ],
)
async def test_what_is_not_there_is_refused_by_name(tmp_path, camera, codecs, code, said):
    async with platform(tmp_path) as house, house.driver() as driver:
        with pytest.raises(RefusedError) as refused:
            async with Looking(house.url, token_of(driver), house.robot_key.address, camera, codecs):
                pass
        assert refused.value.code == code
        assert said in str(refused.value)


async def test_a_stranger_sees_nothing_and_sends_no_pictures(tmp_path):
    async with platform(tmp_path) as house:
        with pytest.raises(RefusedError) as refused:
            async with Looking(house.url, "guessed", house.robot_key.address, "front"):
                pass
        assert refused.value.code == "auth"
        async with connect(house.url.replace("http", "ws") + "/ws/host/camera", proxy=None) as socket:
            await socket.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": "guessed"}))
            assert json.loads(await socket.recv())["code"] == "auth"


async def test_noise_is_counted_and_hurts_nobody(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        robot, token = house.robot_key.address, token_of(driver)
        async with driven(driver, robot), Looking(house.url, token, robot, "front") as looking:
            for noise in (b"", b"\x04", os.urandom(12), "text", os.urandom(500)):
                await looking.send(noise)
            frame = await looking.next()
            await looking.answer(replace(frame, seq=frame.seq + 1000))
            await looking.answer(frame)
            while (await looking.next()).seq <= frame.seq:
                pass
            assert house.hub.counts["seen_malformed"] == 5
        upload = house.hub.docks[robot].upload_token
        async with connect(house.url.replace("http", "ws") + "/ws/host/camera", proxy=None) as socket:
            await socket.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": upload}))
            await socket.send(os.urandom(100))
            stray = Frame(9, Codec.JPEG, True, 8, 8, 7, 0, 0, b"?", asks=True)  # of a camera that nobody looks at
            await socket.send(stray.encode())
            assert await socket.recv(), "answered, and shown to nobody"
            assert house.hub.counts["frames_malformed"] == 1


async def to_the_end(looking: Looking) -> None:
    while True:
        await looking.next()


async def test_a_flood_of_answers_is_read_slowly_and_slows_only_who_sent_it(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        robot, token = house.robot_key.address, token_of(driver)
        async with (
            driven(driver, robot),
            Looking(house.url, token, robot, "front") as flooding,
            Looking(house.url, token, robot, "front") as other,
        ):
            frame = await flooding.next()
            for _ in range(2 * SEEN_PER_S):
                await flooding.answer(frame)
            before = (await other.read()).seq
            while not house.hub.counts["seen_flood"]:
                assert (await other.read()).seq > before
            await flooding.send(bytes(JSON_BYTES_MAX + 1))
            with pytest.raises(RefusedError, match="expected at most 65536 bytes a frame"):
                await to_the_end(flooding)
            assert (await other.read()).seq > before


async def test_viewers_hear_that_the_robot_is_gone(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        async with Looking(house.url, token_of(driver), house.robot_key.address, "front") as looking:
            await house.stop_host()
            with pytest.raises(RefusedError) as refused:
                await looking.next()
        assert refused.value.code == "robot_offline"


@pytest.mark.parametrize("said", ["", "desk", "desk=", "=0", "desk=0@", "desk=0@640", "desk=0@9x9", "desk=0@640xhigh"])
def test_a_camera_said_wrongly_is_refused(said):
    with pytest.raises(CameraError, match=r"is not a camera|pixels"):
        camera_of(said)


def test_a_camera_is_said_by_name_device_and_size():
    assert camera_of("desk=/dev/video0") == CameraSpec("desk", device="/dev/video0")
    assert camera_of("desk=rtsp://a@b/c@1280x720") == CameraSpec("desk", 1280, 720, device="rtsp://a@b/c")
    assert camera_of("desk=rtsp://a@b/c") == CameraSpec("desk", device="rtsp://a@b/c")


def test_a_camera_that_is_not_there_is_named_by_its_path(tmp_path):
    film = tmp_path / "film.avi"
    film.touch()
    assert missing_device(camera_of(f"desk={film}")) is None
    assert missing_device(camera_of(f"desk={film}x@640x480")) == f"{film}x"
    assert missing_device(camera_of("desk=977")) == "/dev/video977"
    assert missing_device(camera_of("desk=rtsp://user@nowhere/1")) is None
