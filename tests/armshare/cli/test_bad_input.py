"""What people type wrongly at each command: it is said in a sentence with a way on, and never as a program would."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sim.own import FILE
from sim.places import DATA
from tests.armshare.command import armshare_here

NOISE = re.compile(r"Traceback|\b[A-Z]\w+(Error|Exception)\b|\[Errno|Expecting value|HTTPConnection|sqlalche")
ANSWERS = {
    "html": (200, b"<html>Welcome</html>"),
    "json": (200, b'{"hello": 1}'),
    "list": (200, b"[]"),
    "gateway": (502, b"<html>502 Bad Gateway</html>"),
}


class NotAHub(BaseHTTPRequestHandler):
    """Answers as what stands at a wrong address does."""

    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path.split("/")[1], (404, b"<html>404</html>"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The address of a server that is no hub."""
    with ThreadingHTTPServer(("127.0.0.1", 0), NotAHub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what people confuse: files for folders, empty folders, keys and files that are something else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("ARMSHARE_CA", "")  # so that what `--ca` makes of it is undone
    monkeypatch.setenv(DATA, str(tmp_path / "data"))
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "several" / "one").mkdir(parents=True)
    (tmp_path / "several" / "one" / "manifest.json").write_text("{}")
    (tmp_path / "key").write_text("0x12")
    for folder in ("keys", "token"):
        (tmp_path / folder / "keys").mkdir(parents=True)
        for name in ("owner.key", "hub.key", "admin.token"):
            (tmp_path / folder / "keys" / name).write_text("nonsense")
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "armshare.sqlite").write_text("no database" * 100)
    (tmp_path / "added" / "robots" / "crane").mkdir(parents=True)
    (tmp_path / "added" / "robots" / "crane" / FILE).write_text("{")
    return tmp_path


def said(arguments: str, code: int = 2) -> str:
    """Return what a command that cannot go on says: an error in one line, or how it is used."""
    done = armshare_here(*arguments.split())
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    assert not NOISE.search(text), text
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 or text.count("Usage: ") == 1, text
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("kind", [*ANSWERS, "nothing"])
@pytest.mark.parametrize(
    "command",
    [
        "robots",
        "drive --expert",
        "drive --unsigned",
        "fetch out",
        "verify empty",
        "settle --data token",
        "rescore --rules 2 --data token",
        "export empty --to out.hdf5",
    ],
)
def test_an_address_that_is_not_a_hubs_is_said(here: Path, web: str, command: str, kind: str):
    text = said(f"{command} --hub {web}/{kind}")
    assert "not a hub" in text
    assert "heck the address" in text


@pytest.mark.parametrize(
    "command", ["robots", "drive --expert", "drive --sign all", "fetch out", "settle --data token"]
)
@pytest.mark.parametrize("host", ["127.0.0.1:9", "no.such.host.invalid"])
def test_a_hub_that_does_not_answer_is_said(here: Path, command: str, host: str):
    text = said(f"{command} --hub http://{host}")
    assert re.search(rf"No hub answers at http://{host} \((Connection refused|.* not known|.*resolution)\)", text)
    assert "name another with --hub" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("robots --hub 127.0.0.1:8000", "is not the address of a hub"),
        ("drive", "say who drives: --policy, --expert, --episode, --gamepad or --first-drive"),
        ("drive --policy nonsense", "write module:function"),
        ("drive --gamepad /dev/nothing", "/dev/nothing is not a gamepad: No such file"),
        ("drive --gamepad file", "file is not a gamepad: it is not a joystick"),
        ("drive --expert --key empty", "empty cannot be used as a key file: Is a directory. Name another with --key."),
        ("drive --expert --key key", "key holds no private key"),
        ("drive --expert --key file/in/it", "cannot be used as a key file: Not a directory"),
        ("drive --unsigned --expert", "drive nothing"),
        ("drive --episode empty", "There is no episode at empty"),
        ("replay empty", "There is no episode at empty"),
        ("render empty --to out", "There is no episode at empty"),
        ("render empty --to out --size big", "'big' is not a size: write WIDTHxHEIGHT"),
        ("verify file", "is a file"),
        ("verify nowhere", "does not exist: name the folders of episodes, such as episodes/*"),
        ("export nowhere/* --to out.hdf5", "nothing matches nowhere/*: `armshare fetch FOLDER` downloads episodes"),
        ("export several --to out.hdf5", "It holds episodes: name them, as several/*."),
        ("export empty --to out.hdf5 --size 320x240", "no camera is named, so nothing is drawn: add --camera front"),
        ("export empty --to out.hdf5", "Fetch it again, or leave it out."),
        ("verify empty --pins file", "Save them with: curl -s URL/api/config > hub.json"),
        ("export empty --to out.hdf5", "empty is not a complete episode: missing, or not a regular file: episode.h5"),
        ("export empty --to out", "Which format should out have? Give --format: robomimic"),
        ("export empty --to out --format zarr", "There is no format 'zarr'. There are robomimic"),
        ("export empty --to out.hdf5 --size big", "'big' is not a size: write WIDTHxHEIGHT"),
        ("fetch out --operator bob", "operator must be an address"),
        ("settle --data empty", "is not a hub's data folder"),
        ("rescore --rules 2 --data empty", "is not a hub's data folder"),
        ("clear panda-1 --data empty", "There is no owner's key in empty/keys/owner.key. Name"),
        ("clear panda-1 --data keys", "keys/keys/owner.key holds no private key"),
        ("remove panda-1 --data keys", "keys/keys/owner.key holds no private key"),
        ("calibrate /dev/nobody arm.json", "/dev/nobody cannot be opened (No such file or directory)"),
        ("calibrate file arm.json", "file cannot be opened (Inappropriate ioctl for device)"),
        ("host --robot nobody", "There is no robot 'nobody'. There are panda,"),
        ("host --robot panda --data file", "file/keys is a file, and a folder is needed"),
        ("host --robot panda --data keys", "keys/keys/owner.key holds no private key"),
        ("host --robot panda --port /dev/nobody", "'panda' is not a real robot"),
        ("host --robot panda --robot iiwa --port /dev/nobody", "start a host for each"),
        ("host --robot so101 --port /dev/nobody", "is the adapter plugged in"),
        ("host --robot so101 --port /dev/nobody --calibration empty", "empty cannot be read as a calibration"),
        ("host --robot so101 --port /dev/nobody --calibration file", "`armshare calibrate DEVICE FILE` makes one"),
        ("host --robot so101 --port /dev/nobody --length 0", "An episode lasts from one step to 3600 s"),
        ("host --robot panda --camera desk", "write NAME=DEVICE"),
        ("host --robot panda --camera desk=0 --camera desk=1", "Each camera needs a name of its own"),
        ("host --robot panda --camera-file file", "does not describe cameras"),
        ("host --robot panda --ca file", "file holds no certificates"),
        ("hub --port 99999", "65535"),
        ("hub --port 0 --public-url nonsense", "ARMSHARE_PUBLIC_URL: 'nonsense' is not the address of a hub"),
        ("hub --data file", "file is a file, and a folder is needed"),
        ("run --robot panda:juggle", "There is no task 'juggle'. There are reach,"),
        ("run --data file --port 0", "file is a file, and a folder is needed"),
        ("demo --data file", "file is a file, and a folder is needed"),
        ("robot add nowhere", "nowhere. Give a URDF, a xacro, or a folder with one in it."),
        ("robot add empty", "has no robot"),
        ("robot add file", "is not XML"),
        ("robot check nobody", "There are none yet: armshare robot add PATH"),
        ("robot check crane --data added", "is not a robot's description"),
        ("run --robot crane --data added --port 0", "is not a robot's description"),
        ("sim check --task nobody", "There is no task 'nobody'"),
        ("sim check --robot nobody", "There is no robot 'nobody'"),
        ("sim check --robot dual_panda --task lift", "dual_panda cannot do lift. It can do handover"),
        ("sim films --to file", "Nothing can be written into file"),
    ],
)
def test_what_was_typed_wrongly_is_said_with_a_way_on(here: Path, arguments: str, says: str):
    assert says in said(arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("hub --data database --port 0", "armshare.sqlite cannot be used (file is not a database). Restore it"),
        ("hub --data keys --port 0", "keys/keys/hub.key holds no private key"),
        ("hub --data new --port 0 --chain-url http://127.0.0.1:9", "no EVM node answers at http://127.0.0.1:9 (Conn"),
    ],
)
def test_a_hub_that_cannot_start_says_why(here: Path, arguments: str, says: str):
    assert says in said(arguments)


@pytest.mark.parametrize("command", ["run", "hub"])
def test_a_port_that_is_taken_is_said(here: Path, command: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = said(f"{command} --data new --port {taken.getsockname()[1]}")
    assert "(Address already in use). Choose another --port" in text


def test_an_added_robot_that_cannot_be_read_hides_no_other(here: Path):
    done = armshare_here("robot", "list", "--data", "added")
    assert done.returncode == 0
    assert done.stderr.startswith("crane cannot be used: ")


def test_an_empty_folder_is_refused_as_an_episode(here: Path):
    done = armshare_here("verify", "empty")
    assert (done.returncode, NOISE.search(done.stdout)) == (1, None)
    assert "there is no complete episode in this folder" in done.stdout
