"""Export to MCAP (mcap.dev): a file for each episode, with the true times, in the schemas that Foxglove and Rerun draw.

Pictures are copied as they are stored, with each camera's calibration and place as far as they are known. The bundle's
documents ride along as attachments, and what is known of the episode (operator, digest, score) as the metadata record
`armshare`.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import CompressionType, Writer
from mcap_protobuf.schema import register_schema

from recorder.export import foxglove
from recorder.export.demonstrations import Demonstration, Demonstrations
from recorder.export.errors import TargetError
from recorder.export.foxglove import SCHEMAS, Kind, Message
from recorder.export.target import whole_file, whole_folder
from recorder.proof.bundle import MANIFEST_FILE, RECEIPT_FILE, SIGNATURES_FILE

PROFILE: Final = "armshare"
METADATA: Final = "armshare"
SUFFIX: Final = ".mcap"
_CHUNK_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    files: int
    messages: int


def export(demonstrations: Demonstrations, target: Path) -> Exported:
    """Write a folder of files, one for each episode, or one episode to a file `.mcap`; raise an ExportError.

    After an error nothing is left.
    """
    if target.suffix == SUFFIX:
        return _export_one(demonstrations, target)
    count = 0
    with whole_folder(target) as folder:
        for one in demonstrations:
            with (folder / f"{one.number:06d}-{one.episode.meta.episode}{SUFFIX}").open("wb") as file:
                count += _write(file, one)
    return Exported(target, len(demonstrations), count)


def _export_one(demonstrations: Demonstrations, target: Path) -> Exported:
    if len(demonstrations) > 1:
        raise TargetError(f"{target} is a file, and {len(demonstrations)} episodes need a folder: leave {SUFFIX} out.")
    with whole_file(target) as path, path.open("wb") as file:
        count = sum(_write(file, one) for one in demonstrations)
    return Exported(target, 1, count)


def messages(one: Demonstration) -> Iterator[Message]:
    """Yield all that an episode says, in the order of the log times; pictures are read as they come."""
    episode, space = one.episode, one.space
    streams = [
        foxglove.log(episode),
        foxglove.states(episode),
        foxglove.commands(episode),
        foxglove.actions(episode, space.names, one.actions, one.driven, space.env.call),
        foxglove.applied(episode),
        foxglove.safety(episode),
        foxglove.limits(episode),
        *(foxglove.pictures(episode, camera) for camera in one.pictures.values()),
        *(foxglove.drawn_camera(episode, camera) for camera in one.pictures.values()),
        *(foxglove.camera(episode, name) for name in episode.meta.recorded),
    ]
    return heapq.merge(*streams, key=lambda message: message.log_ns)


def _write(file: IO[bytes], one: Demonstration) -> int:
    """Write one episode; return how many messages it has."""
    written = McapFile(file)
    for message in messages(one):
        written.write(message)
    at_ns = int(one.episode.meta.t_wall_ns)
    for name in (MANIFEST_FILE, SIGNATURES_FILE, RECEIPT_FILE):
        if (one.bundle / name).is_file():
            written.attach(at_ns, name, (one.bundle / name).read_bytes())
    return written.finish(one.facts)


class McapFile:
    """An open MCAP file; each topic's channel and schema are registered when its first message comes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._writer = Writer(file, chunk_size=_CHUNK_BYTES, compression=CompressionType.ZSTD)
        self._writer.start(profile=PROFILE, library="armshare")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def write(self, message: Message) -> None:
        """Add a message; those of all channels together come in the order of their log times."""
        if message.topic not in self._channels:
            self._channels[message.topic] = self._register(message.topic, message.kind)
        number = self._counts[message.topic] = self._counts.get(message.topic, 0) + 1
        is_json = isinstance(message.kind.schema, str)
        data = _json(message.said) if is_json else message.said.SerializeToString(deterministic=True)
        self._writer.add_message(
            self._channels[message.topic], message.log_ns, data, message.publish_ns, sequence=number
        )

    def attach(self, at_ns: int, name: str, data: bytes) -> None:
        """Add a document of JSON."""
        self._writer.add_attachment(at_ns, at_ns, name, "application/json", data)

    def finish(self, facts: Mapping[str, Any]) -> int:
        """Write what is known of the episode, and the index; return how many messages there are."""
        said = {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
        self._writer.add_metadata(METADATA, said)
        self._writer.finish()  # type: ignore[no-untyped-call]  # MCAP has no types there
        return sum(self._counts.values())

    def _register(self, topic: str, kind: Kind) -> int:
        name: str = kind.schema if isinstance(kind.schema, str) else kind.schema.DESCRIPTOR.full_name
        if name not in self._schemas:
            self._schemas[name] = self._schema(name, kind)
        encoding = MessageEncoding.JSON if isinstance(kind.schema, str) else MessageEncoding.Protobuf
        channel: int = self._writer.register_channel(topic, encoding, self._schemas[name], dict(kind.metadata))
        return channel

    def _schema(self, name: str, kind: Kind) -> int:
        if isinstance(kind.schema, str):
            number: int = self._writer.register_schema(name, SchemaEncoding.JSONSchema, _json(SCHEMAS[name]))
        else:
            number = register_schema(self._writer, kind.schema)
        return number


def _json(said: Any) -> bytes:
    return json.dumps(said, separators=(",", ":"), allow_nan=False).encode()
