"""The wire's hot path: commands to a robot and states from it, as fixed little-endian binary.

`wire.json` is the one specification; this module and the browser's `wire.ts` are both built from it, and both are
tested against the same golden bytes (`tests/teleop/golden_wire.json`). The control plane, in JSON, is `signalling.py`.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WIRE: Final[dict[str, Any]] = json.loads(resources.files(__package__).joinpath("wire.json").read_text("utf-8"))
PROTOCOL: Final[int] = WIRE["protocol"]
JSON_BYTES_MAX: Final[int] = WIRE["limits"]["json_bytes"]

Values = NDArray[np.float32]

_FORMATS: Final = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "f32": "f", "bytes32": "32s"}
FIRST: Final = bytes(32)
"""`before` of the first command of an epoch, and `commands` of a state before any."""
DIGEST_BYTES: Final = len(FIRST)
"""The length of `digest_of` a command."""


class WireError(Exception):
    """A binary message is not what `wire.json` says; it is dropped and counted."""


class Mode(IntEnum):
    """What a command's values mean."""

    NEUTRAL = WIRE["modes"]["neutral"]
    EE_TWIST = WIRE["modes"]["ee_twist"]
    """For each end effector (vx, vy, vz) m/s, (wx, wy, wz) rad/s in its base frame, and its gripper's opening, 0 to 1;
    then, if there is a mobile base, forward m/s and turning left rad/s, or nothing: the base stays at rest."""
    JOINT_POSITION = WIRE["modes"]["joint_position"]
    """(J,) rad, then every gripper's opening in [0, 1]."""
    EE_POSE = WIRE["modes"]["ee_pose"]
    """For each end effector (x, y, z) m and the quaternion (x, y, z, w) in its base frame, and its gripper's opening;
    then the mobile base as in a twist."""


class Safety(IntEnum):
    """The safety machine's state, as an operator sees it (see `safety.py`)."""

    EXPIRED = WIRE["safety"]["expired"]
    ARMED = WIRE["safety"]["armed"]
    DRIVING = WIRE["safety"]["driving"]
    HOLDING = WIRE["safety"]["holding"]
    ESTOPPED = WIRE["safety"]["estopped"]
    FAULTED = WIRE["safety"]["faulted"]


DEAD_MAN: Final[int] = WIRE["command_flags"]["dead_man"]
INTERVENTION: Final[int] = WIRE["command_flags"]["intervention"]
RECORDING: Final[int] = WIRE["state_flags"]["recording"]
SUCCEEDED: Final[int] = WIRE["state_flags"]["succeeded"]
LIMITED: Final[int] = WIRE["state_flags"]["limited"]
LIMIT_RULES: Final[dict[str, int]] = WIRE["limit_rules"]
"""The bit of each rule in a state's `limits`, by its name in `sim.motion.control.Limit`."""


def header_of(message: str) -> struct.Struct:
    """Return the layout of a message's header."""
    return struct.Struct("<" + "".join(_FORMATS[kind] for _, kind, _ in WIRE["messages"][message]["header"]))


_COMMAND: Final = header_of("command")
_STATE: Final = header_of("state")
_FLAGS_AT: Final = 3
_COMMAND_KIND: Final[int] = WIRE["messages"]["command"]["kind"]
_F32: Final = np.dtype("<f4")
_MODES: Final = {mode.value: mode for mode in Mode}
_STATE_KIND: Final[int] = WIRE["messages"]["state"]["kind"]
_COMMAND_VALUES_MAX: Final[int] = WIRE["limits"]["command_values"]
STATE_VALUES_MAX: Final[int] = WIRE["limits"]["state_values"]
_VALUES: Final = [struct.Struct(f"<{count}f") for count in range(_COMMAND_VALUES_MAX + 1)]
COMMAND_BYTES_MAX: Final[int] = _COMMAND.size + 4 * _COMMAND_VALUES_MAX
STATE_BYTES_MAX: Final[int] = _STATE.size + 4 * STATE_VALUES_MAX


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asks for, once per tick of the operator's own loop."""

    mode: Mode
    dead_man: bool
    epoch: int
    seq: int
    seen: int
    t_client_us: int
    values: Values
    """As `mode` says, float32."""
    before: bytes = FIRST
    """`digest_of` the command that was sent before it in this epoch: so each binds all before it."""
    intervention: bool = False
    """Whether a person gives it in place of the program that drives the episode."""

    def encode(self) -> bytes:
        """Return the message's bytes."""
        flags = DEAD_MAN * self.dead_man | INTERVENTION * self.intervention
        head = (_COMMAND_KIND, PROTOCOL, self.mode, flags, self.epoch, self.seq, self.seen)
        rest = (self.t_client_us, self.before, len(self.values), 0)
        return _COMMAND.pack(*head, *rest) + self.values.astype(_F32, copy=False).tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Command:
        """Read a command; raise WireError unless every byte is accounted for and every value is finite."""
        head = _unpack(_COMMAND, data, "command", _COMMAND_KIND, _COMMAND_VALUES_MAX)
        _, _, mode, flags, epoch, seq, seen, t_client_us, before, count, reserved = head
        if flags & ~(DEAD_MAN | INTERVENTION) or reserved:
            raise WireError(f"expected no unknown flags and reserved 0, got flags {flags} and {reserved}")
        named = _MODES.get(mode)
        if named is None:
            raise WireError(f"expected mode {[m.value for m in Mode]}, got {mode}")
        # A sum of float32 values cannot leave float64's range: it is finite exactly if each of them is.
        if not math.isfinite(sum(_VALUES[count].unpack_from(data, _COMMAND.size))):
            raise WireError(f"expected finite values, got {np.frombuffer(data, _F32, offset=_COMMAND.size).tolist()}")
        values = np.frombuffer(data, _F32, offset=_COMMAND.size)
        held, intervention = bool(flags & DEAD_MAN), bool(flags & INTERVENTION)
        return cls(named, held, epoch, seq, seen, t_client_us, values, before, intervention)


@dataclass(frozen=True, slots=True)
class State:
    """What an operator sees of the robot, once per control period."""

    safety: Safety
    recording: bool
    succeeded: bool
    limited: bool
    limits: int
    """Which rules changed what was asked for in the last period: bits of `LIMIT_RULES`."""
    epoch: int
    seq: int
    applied: int
    t_host_us: int
    t_client_us: int
    commands: bytes
    """`digest_of` the command in `applied`, `FIRST` before any: whoever sent it compares it."""
    progress: float | None
    values: Values
    """The arrays of the descriptor's `observation`, flattened in its order, float32."""

    def encode(self) -> bytes:
        """Return the message's bytes."""
        flags = RECORDING * self.recording | SUCCEEDED * self.succeeded | LIMITED * self.limited
        progress = math.nan if self.progress is None else self.progress
        head = (_STATE_KIND, PROTOCOL, self.safety, flags, self.epoch, self.seq, self.applied)
        times = (self.t_host_us, self.t_client_us, self.commands)
        values = self.values.astype(_F32, copy=False).tobytes()
        return _STATE.pack(*head, *times, progress, len(self.values), self.limits) + values

    @classmethod
    def decode(cls, data: bytes) -> State:
        """Read a state; raise WireError unless every byte is accounted for."""
        head = _unpack(_STATE, data, "state", _STATE_KIND, STATE_VALUES_MAX)
        _, _, safety, flags, epoch, seq, applied, t_host_us, t_client_us, commands, progress, _, limits = head
        if safety not in Safety._value2member_map_:
            raise WireError(f"expected safety {[s.value for s in Safety]}, got {safety}")
        return cls(
            safety=Safety(safety),
            recording=bool(flags & RECORDING),
            succeeded=bool(flags & SUCCEEDED),
            limited=bool(flags & LIMITED),
            limits=limits,
            epoch=epoch,
            seq=seq,
            applied=applied,
            t_host_us=t_host_us,
            t_client_us=t_client_us,
            commands=commands,
            progress=None if math.isnan(progress) else progress,
            values=np.frombuffer(data, "<f4", offset=_STATE.size),
        )


def digest_of(command: bytes) -> bytes:
    """Return the SHA-256 of a command's bytes. They hold that of the command before it, so it binds all before it."""
    return hashlib.sha256(command).digest()


def dead_man_of(data: bytes) -> bool:
    """Whether these bytes, if they are a command, say that the dead-man is held: a quick check before they are read."""
    return len(data) > _FLAGS_AT and bool(data[_FLAGS_AT] & DEAD_MAN)


def head_of(header: struct.Struct, data: bytes, name: str, kind: int) -> tuple[Any, ...]:
    """Return a message's header; raise WireError if it is of another kind or another protocol."""
    if len(data) < header.size:
        raise WireError(f"expected a {name} of at least {header.size} bytes, got {len(data)}")
    head = header.unpack_from(data)
    if head[0] != kind:
        raise WireError(f"expected kind {kind} ({name}), got {head[0]}")
    if head[1] != PROTOCOL:
        raise WireError(f"expected protocol {PROTOCOL}, got {head[1]}; update the older side")
    return head


def _unpack(header: struct.Struct, data: bytes, name: str, kind: int, most: int) -> tuple[Any, ...]:
    head = head_of(header, data, name, kind)
    count = head[-2]
    if count > most:
        raise WireError(f"expected at most {most} values in a {name}, got {count}")
    if len(data) != header.size + 4 * count:
        raise WireError(f"expected {header.size + 4 * count} bytes for {count} values, got {len(data)}")
    return head
