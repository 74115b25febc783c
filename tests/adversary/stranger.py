"""A host and its operator, written from PROTOCOL.md, FORMAT.md and docs/http.md alone, who say whatever they like.

Nothing here is imported from the product: a stranger has its documents, its public routes and wallets, and that is all.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import h5py
import httpx
import numpy as np
import rfc8785
from eth_account import Account
from eth_account.messages import SignableMessage, encode_defunct, encode_typed_data
from eth_account.signers.local import LocalAccount
from websockets.sync.client import ClientConnection, connect

Arrays = dict[str, np.ndarray]
BLOCK_ROWS, BLOCK_BYTES = 256, 65_536
TYPES: dict[str, list[tuple[str, str]]] = {
    "RobotRegistration": [
        ("robot", "address"), ("owner", "address"), ("name", "string"), ("model", "string"), ("simulated", "bool"),
        ("nonce", "bytes32"), ("issuedMs", "uint64"),
    ],
    "ClearRobot": [("robot", "address"), ("stop", "bytes32")],
    "HostHello": [("robot", "address"), ("challenge", "bytes32")],
    "SessionGrant": [
        ("operator", "address"), ("sessionKey", "address"), ("robot", "address"), ("task", "string"),
        ("nonce", "bytes32"), ("notAfterMs", "uint64"),
    ],
    "Episode": [
        ("episodeId", "string"), ("manifestSha256", "bytes32"), ("contentRoot", "bytes32"), ("operator", "address"),
        ("robot", "address"), ("task", "string"), ("startedMs", "uint64"), ("endedMs", "uint64"),
        ("previous", "bytes32"),
    ],
}  # fmt: skip


def read_arrays(file: bytes) -> Arrays:
    """Return every dataset of an episode.h5, by its path."""
    found: Arrays = {}
    with h5py.File(io.BytesIO(file), "r") as opened:
        opened.visititems(lambda path, one: found.update({path: one[()]}) if isinstance(one, h5py.Dataset) else None)
    return found


def write_file(arrays: Mapping[str, np.ndarray], version: int) -> bytes:
    """Return an episode.h5 with these datasets."""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.attrs["format"], file.attrs["version"] = "armshare-episode", version
        for path, array in arrays.items():
            file.create_dataset(path, data=array)
    return made.getvalue()


def content_root(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the content root of FORMAT.md section 2."""
    leaves = [leaf for path in sorted(set(arrays) - {"meta"}) for leaf in _leaves(path, arrays[path])]
    return _tree(leaves)


def _leaves(path: str, array: np.ndarray) -> Iterator[bytes]:
    fields = array.dtype.fields
    kind = (
        f"{array.dtype.kind}{array.dtype.itemsize}"
        if fields is None
        else "{" + ",".join(f"{name}:{one.kind}{one.itemsize}" for name, (one, _at) in fields.items()) + "}"
    )
    shape = ",".join(map(str, array.shape))
    size = BLOCK_BYTES if path.endswith("/bytes") else BLOCK_ROWS
    for block in range(max(1, -(-len(array) // size))):
        rows = array[block * size : (block + 1) * size]
        said = b"".join(len(one).to_bytes(4, "little") + one.encode() for one in (path, kind, shape, str(block)))
        yield hashlib.sha256(b"\x00" + said + rows.tobytes()).digest()


def _tree(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _tree(leaves[:half]) + _tree(leaves[half:])).digest()


def commands_of(arrays: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Yield each command's bytes."""
    data, at = arrays["commands/bytes"].tobytes(), 0
    for end in arrays["commands/end"].tolist():
        yield data[at:end]
        at = end


def last_commands(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return, as a manifest names it, each command that is the last, or that the next one does not hold the hash of."""
    said = [(*struct.unpack_from("<II", data, 4), hashlib.sha256(data).hexdigest()) for data in commands_of(arrays)]
    following = [(epoch, seq) for epoch, seq, _ in said[1:]] + [(None, None)]
    return [
        {"epoch": epoch, "seq": seq, "sha256": sha256}
        for (epoch, seq, sha256), after in zip(said, following, strict=True)
        if after != (epoch, seq + 1)
    ]


def ms_of(decimal_ns: str) -> str:
    """Return nanoseconds as milliseconds, as a manifest has them."""
    return str(int(decimal_ns) // 1_000_000)


@dataclass
class Claim:
    """An episode as its host will say it was: the datasets, and the values of `/meta`."""

    meta: dict[str, Any]
    arrays: Arrays
    version: int = 2

    @classmethod
    def of(cls, file: bytes) -> Self:
        """Take somebody's file."""
        arrays = read_arrays(file)
        return cls(json.loads(arrays["meta"].tobytes()), arrays)

    def moved_to(self, begun_ns: int) -> None:
        """Move the wall clock, so that the recording seems to have begun just then."""
        walls = self.arrays["time/t_wall_ns"]
        shift = begun_ns - int(walls[0])
        self.arrays["time/t_wall_ns"] = walls + shift
        for times in (self.meta, self.meta["end"]):
            times["t_wall_ns"] = str(int(times["t_wall_ns"]) + shift)


@dataclass
class Stranger:
    """A fresh wallet with a robot of its own, at a hub that knows neither."""

    url: str
    wallet: LocalAccount = field(default_factory=Account.create)
    robot: LocalAccount = field(default_factory=Account.create)
    session: LocalAccount = field(default_factory=Account.create)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.config = self.http.get("/api/config").json()
        self.token = self._signed_in()

    def close(self) -> None:
        """Close its connections."""
        self.http.close()

    def _signed_in(self) -> str:
        asked = self.http.post("/api/auth/challenge", json={"address": self.wallet.address}).json()
        signature = self.wallet.sign_message(encode_defunct(text=asked["message"])).signature.to_0x_hex()
        answer = self.http.post("/api/auth/verify", json={"nonce": asked["nonce"], "signature": signature})
        return str(answer.raise_for_status().json()["token"])

    @property
    def bearer(self) -> dict[str, str]:
        """The header of a signed-in wallet."""
        return {"Authorization": f"Bearer {self.token}"}

    def signed(self, key: LocalAccount, kind: str, values: Mapping[str, Any]) -> str:
        """Sign a statement by EIP-712 under the hub's domain."""
        return str(key.sign_message(self._typed(kind, values)).signature.to_0x_hex())

    def _typed(self, kind: str, values: Mapping[str, Any]) -> SignableMessage:
        domain = {
            "name": "armshare",
            "version": "1",
            "chainId": self.config["chain_id"],
            "verifyingContract": self.config["vault"],
        }
        types = {kind: [{"name": name, "type": of} for name, of in TYPES[kind]]}
        return encode_typed_data(domain, types, dict(values))

    def register(self, *, model: str, simulated: bool, name: str = "arm") -> None:
        """Register the robot, as its owner, who has its key, too."""
        asked = self.http.post("/api/robots/challenge", json={"robot": self.robot.address}).raise_for_status().json()
        values = {
            "robot": self.robot.address,
            "owner": self.wallet.address,
            "name": name,
            "model": model,
            "simulated": simulated,
            "nonce": asked["nonce"],
            "issuedMs": int(time.time() * 1000),
        }
        body = {
            "registration": values,
            "signature": self.signed(self.wallet, "RobotRegistration", values),
            "robot_signature": self.signed(self.robot, "RobotRegistration", values),
        }
        self.http.post("/api/robots", json=body, headers=self.bearer).raise_for_status()

    def socket(self, path: str) -> ClientConnection:
        """Open a websocket of the hub."""
        return connect(self.url.replace("http", "ws", 1) + path, max_size=None)

    def hand_in(
        self,
        descriptor: Mapping[str, Any],
        task: str,
        claim: Callable[[dict[str, Any]], Claim],
        *,
        finishes: bool = True,
        told: Mapping[str, Any] | None = None,
        sealed_after: Callable[[Claim], None] = lambda claim: None,
    ) -> httpx.Response:
        """Begin an episode as host and operator, and hand in what `claim` makes of the hub's order.

        `finishes`: whether the operator asks for its end; `told`: what the host then says otherwise than it hands in;
        `sealed_after`: what it waits for before it does.
        """
        with self.socket("/ws/host") as host, self.socket("/ws/drive") as drive:
            upload_token = self._greet_host(host, descriptor)
            grant, signature = self._join(drive, task)
            _heard(host, "lease")
            _heard(drive, "granted")
            drive.send(
                json.dumps({"type": "begin", "driver": {"kind": "script", "name": "stranger.py", "sha256": "5" * 64}})
            )
            order = _heard(host, "begin")
            order |= {"grant": grant, "signature": signature, "task": task}
            host.send(json.dumps({"type": "ready", "episode": order["episode"], "seed": order["seed"]}))
            _heard(drive, "ready")
            made = claim(order)
            if finishes:
                drive.send(json.dumps({"type": "finish"}))
                _heard(host, "finish")
            end = made.meta["end"]
            ended = {name: end[name] for name in ("steps", "success", "reason")}
            ended |= {"type": "ended", "episode": order["episode"], "kept": True, "valid": True, **(told or {})}
            host.send(json.dumps(ended))
            _heard(drive, "ended")
            sealed_after(made)
            return self._seal_and_sign(made, upload_token)

    def cannot_check(self, host: ClientConnection, descriptor: Mapping[str, Any]) -> dict[str, Any]:
        """Connect as a host, and return what the hub says of what it cannot check."""
        self._greet_host(host, descriptor)
        return _heard(host, "cannot_check")

    def _greet_host(self, host: ClientConnection, descriptor: Mapping[str, Any]) -> str:
        challenge = _heard(host, "challenge")["challenge"]
        values = {"robot": self.robot.address, "challenge": challenge}
        hello = {
            "type": "hello",
            "protocol": 2,
            "robot": self.robot.address,
            "signature": self.signed(self.robot, "HostHello", values),
            "descriptor": dict(descriptor),
            "estopped": False,
            "takes_rules": True,
        }
        host.send(json.dumps(hello))
        return str(_heard(host, "welcome")["upload_token"])

    def stopped_and_cleared(self, descriptor: Mapping[str, Any]) -> str:
        """Stop the robot as its host, clear it as its owner; return whose signature reaches its host."""
        with self.socket("/ws/host") as host, self.socket("/ws/drive") as drive:
            self._greet_host(host, descriptor)
            drive.send(json.dumps({"type": "hello", "protocol": self.config["protocol"], "token": self.token}))
            drive.send(json.dumps({"type": "watch", "robot": self.robot.address}))
            _heard(drive, "watching")
            host.send(json.dumps({"type": "estopped", "by": "host: a door is open", "stop": "0x" + "05" * 32}))
            values = {"robot": self.robot.address, "stop": _heard(drive, "estopped")["stop"]}
            signature = self.signed(self.wallet, "ClearRobot", values)
            drive.send(json.dumps({"type": "clear", **values, "signature": signature}))
            order = _heard(host, "clear")
            signed = self._typed("ClearRobot", {"robot": self.robot.address, "stop": order["stop"]})
            return str(Account.recover_message(signed, signature=order["signature"]))

    def _join(self, drive: ClientConnection, task: str) -> tuple[dict[str, Any], str]:
        drive.send(json.dumps({"type": "hello", "protocol": 2, "token": self.token}))
        grant = {
            "operator": self.wallet.address,
            "sessionKey": self.session.address,
            "robot": self.robot.address,
            "task": task,
            "nonce": _heard(drive, "welcome")["nonce"],
            "notAfterMs": int(time.time() * 1000) + 3_600_000,
        }
        signature = self.signed(self.wallet, "SessionGrant", grant)
        drive.send(json.dumps({"type": "join", "grant": grant, "signature": signature}))
        return grant, signature

    def adopted(self, claim: Claim, order: Mapping[str, Any]) -> Claim:
        """Write into a recording that this robot made it when the hub asked, whoever made it."""
        meta, grant = claim.meta, dict(order["grant"])
        meta |= {name: order[name] for name in ("episode", "seed", "nonce", "driver", "rules")}
        meta["robot"] |= {"address": self.robot.address}
        meta["operator"] = {"address": self.wallet.address, "session_key": self.session.address}
        values = grant | {"notAfterMs": str(grant["notAfterMs"])}
        meta["grant"] = {"values": values, "signature": order["signature"]}
        lasts_ns = int(claim.arrays["time/t_wall_ns"][-1] - claim.arrays["time/t_wall_ns"][0])
        claim.moved_to(time.time_ns() - lasts_ns)
        return claim

    def _seal_and_sign(self, claim: Claim, upload_token: str) -> httpx.Response:
        meta = claim.meta
        arrays = claim.arrays | {"meta": np.frombuffer(rfc8785.dumps(meta), np.uint8)}
        file = write_file(arrays, claim.version)
        manifest = self._manifest(meta, arrays, file)
        text = rfc8785.dumps(manifest)
        values = {
            "episodeId": meta["episode"],
            "manifestSha256": hashlib.sha256(text).digest(),
            "contentRoot": bytes.fromhex(manifest["content_root"][2:]),
            "operator": meta["operator"]["address"],
            "robot": meta["robot"]["address"],
            "task": meta["task"]["name"],
            "startedMs": int(manifest["started_ms"]),
            "endedMs": int(manifest["ended_ms"]),
            "previous": bytes(32),
        }
        token, episode = {"Authorization": f"Bearer {upload_token}"}, meta["episode"]
        upload = self._uploaded(file, episode, token)
        sealing = {
            "manifest": text.decode(),
            "robot_signature": self.signed(self.robot, "Episode", values),
            "upload": upload,
        }
        answer = self.http.post(f"/api/episodes/{episode}/seal", json=sealing, headers=token)
        if answer.is_error:
            return answer
        signature = self.signed(self.session, "Episode", values)
        return self.http.post(f"/api/episodes/{episode}/signature", json={"signature": signature}, headers=self.bearer)

    def _uploaded(self, file: bytes, episode: str, token: Mapping[str, str]) -> str:
        tus = {"Tus-Resumable": "1.0.0", **token}
        named = f"episode {base64.b64encode(episode.encode()).decode()}"
        creation = {**tus, "Upload-Length": str(len(file)), "Upload-Metadata": named}
        begun = self.http.post("/api/uploads", headers=creation)
        location = begun.raise_for_status().headers["Location"]
        sending = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        self.http.patch(location, content=file, headers=sending).raise_for_status()
        return str(location.rpartition("/")[2])

    @staticmethod
    def _manifest(meta: Mapping[str, Any], arrays: Arrays, file: bytes) -> dict[str, Any]:
        same = ("format", "version", "episode", "robot", "operator", "grant", "seed", "nonce", "engine")
        end = meta["end"]
        return {
            **{name: meta[name] for name in same},
            "task": {name: meta["task"][name] for name in ("name", "version", "instruction")},
            "control_hz": meta["spec"]["control_hz"],
            "steps": end["steps"],
            "success": end["success"],
            "reason": end["reason"],
            "valid": end["reason"] in ("finished", "step_limit"),
            "files": [{"name": "episode.h5", "size": len(file), "sha256": hashlib.sha256(file).hexdigest()}],
            **({"commands": last_commands(arrays), "driver": meta["driver"]} if meta["version"] > 1 else {}),
            **({"rules": meta["rules"]} if meta.get("rules") else {}),
            "meta_sha256": hashlib.sha256(arrays["meta"].tobytes()).hexdigest(),
            "content_root": "0x" + content_root(arrays).hex(),
            "started_ms": ms_of(meta["t_wall_ns"]),
            "ended_ms": ms_of(end["t_wall_ns"]),
            "previous": "0x" + bytes(32).hex(),
            "software": "stranger",
        }


def _heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a type; fail with what the hub says instead."""
    while True:
        frame = socket.recv(timeout=30)
        if isinstance(frame, bytes):
            continue
        message: dict[str, Any] = json.loads(frame)
        if message["type"] == kind:
            return message
        if message["type"] in ("error", "refused", "left"):
            raise TurnedAwayError(f"{message.get('code', message['type'])}: {message}")


class TurnedAwayError(Exception):
    """The hub refused before anything was handed in."""
