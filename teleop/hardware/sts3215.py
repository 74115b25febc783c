"""A bus of STS3215 servos, through the vendor's SDK: registers in, registers out, or an error that says which.

Part of teleop; exports `Bus` and `ServoState`. Nothing here knows joints or radians. The SDK loses packets
silently, keeps old data after a failed read and measures its timeouts on the wall clock; all three are dealt with here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import scservo_sdk
import structlog

from sim.robot import NotConnectedError, RobotFaultError

try:
    from termios import error as TerminalError  # noqa: N812 - its own name, `error`, would say nothing here
except ImportError:  # Windows
    TerminalError = OSError  # type: ignore[misc,assignment]

log = structlog.get_logger(__name__)

BAUD: Final = 1_000_000
MODEL: Final = 777
RETRIES: Final = 2
"""While the arm is driven: a period has no time for more."""
PATIENT_RETRIES: Final = 10
"""While it is opened, or measured: nothing waits, and a computer that has just started may be slow."""
ANSWER_WAIT_S: Final = 0.034
"""How long an answer may take on top of its own length: two turns of a slow adapter's 16 ms timer, as in the SDK."""
READ_WAIT_S: Final = 0.005
"""How long one read may block: otherwise the SDK would spin, and hold the interpreter, until the answer arrives."""

T = TypeVar("T")


class PortLostError(RobotFaultError):
    """The serial port cannot be opened, is in use, or went away."""


class ServoSilentError(RobotFaultError):
    """A servo does not answer, however often it is asked."""


class WrongServoError(RobotFaultError):
    """A servo is not what the arm needs: another model, or not in position mode."""


class Register(NamedTuple):
    """An entry of the servo's control table (STS series, little-endian)."""

    address: int
    size: int


MODEL_NUMBER: Final = Register(3, 2)
MAX_TORQUE: Final = Register(16, 2)
PROTECTION_CURRENT: Final = Register(28, 2)
HOMING_OFFSET: Final = Register(31, 2)
OPERATING_MODE: Final = Register(33, 1)
OVERLOAD_TORQUE: Final = Register(36, 1)
TORQUE_ENABLE: Final = Register(40, 1)
ACCELERATION: Final = Register(41, 1)
TORQUE_LIMIT: Final = Register(48, 2)
LOCK: Final = Register(55, 1)

_BYTE_MS: Final = 1e4 / BAUD
_GOAL: Final = Register(ACCELERATION.address, 7)
"""Acceleration, goal position, goal time, goal speed."""
_STATE: Final = Register(TORQUE_ENABLE.address, 31)
"""From torque enable to present current."""
_ALARMS: Final = {1: "voltage", 2: "position sensor", 4: "overheating", 8: "overcurrent", 32: "overload"}


@dataclass(frozen=True, slots=True)
class ServoState:
    """What one servo reports, in its own ticks (4096 a turn)."""

    torque: bool
    goal_tick: int
    position_tick: int
    speed_tick_s: int
    load: float
    """In [-1, 1], as a part of the motor's maximum."""
    voltage_v: float
    temperature_c: int
    alarms: tuple[str, ...]
    current_a: float

    @classmethod
    def decode(cls, data: bytes) -> ServoState:
        """Read the block of registers from torque enable to present current."""

        def word(address: int) -> int:
            at = address - _STATE.address
            return int.from_bytes(data[at : at + 2], "little")

        status = data[65 - _STATE.address]
        return cls(
            torque=bool(data[0]),
            goal_tick=word(42),
            position_tick=signed(word(56), 15),
            speed_tick_s=signed(word(58), 15),
            load=signed(word(60), 10) / 1000.0,
            voltage_v=data[62 - _STATE.address] / 10.0,
            temperature_c=data[63 - _STATE.address],
            alarms=tuple(text for bit, text in _ALARMS.items() if status & bit),
            current_a=signed(word(69), 15) * 0.0065,
        )


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a servo should go, and its top speed."""

    tick: int
    speed_tick_s: int
    acceleration: int
    """In hundreds of ticks per second squared, up to 254."""

    def encode(self) -> list[int]:
        """Return the registers from acceleration to goal speed."""
        words = (self.tick, 0, self.speed_tick_s)
        return [self.acceleration, *(byte for word in words for byte in word.to_bytes(2, "little"))]


def signed(word: int, bit: int) -> int:
    """Return the value of a word whose sign is `bit` and whose magnitude is below it."""
    magnitude = word & ((1 << bit) - 1)
    return -magnitude if word & (1 << bit) else magnitude


def sign_magnitude(value: int, bit: int) -> int:
    """Return the word that `signed` reads as `value`."""
    return abs(value) | (1 << bit if value < 0 else 0)


def _reason(error: Exception) -> str:
    """Return what the system says of an error of the port; what the library says if that is nothing."""
    said = [one for each in (error, error.__context__) if each is not None for one in each.args]
    number = next((one for one in said if isinstance(one, int)), 0)
    return os.strerror(number) if number else str(error)


_ANSWER_BYTES: Final = 6
"""Of an answer, without the register: two of a header, id, length, status, and a checksum at the end."""


class Bus:
    """The servos `names` (id -> what it moves, for messages) on one port. Not thread-safe."""

    def __init__(
        self, device: str, names: Mapping[int, str], *, retries: int = RETRIES, answer_wait_s: float = ANSWER_WAIT_S
    ) -> None:
        self.device = device
        self.names = dict(names)
        self.retried = 0
        """How often a request had to be repeated since the start."""
        self._retries = retries
        self._answer_wait_s = answer_wait_s
        self._unheard: list[int] = []
        self._port: Any = None
        self._packets = scservo_sdk.PacketHandler(0)

    @property
    def is_open(self) -> bool:
        """Whether the port is open."""
        return self._port is not None

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """Repeat what is not answered more often for a while, since nothing moves yet."""
        usual, self._retries = self._retries, max(self._retries, PATIENT_RETRIES)
        try:
            yield
        finally:
            self._retries = usual

    def open(self) -> None:
        """Open the port for this process alone. Raises PortLostError."""
        port = scservo_sdk.PortHandler(self.device)
        port.getCurrentTime = lambda: time.monotonic_ns() / 1e6
        port.setPacketTimeout = lambda size: port.setPacketTimeoutMillis(1e3 * self._answer_wait_s + size * _BYTE_MS)
        try:
            port.setBaudRate(BAUD)
            port.ser.exclusive = True
            port.ser.timeout = READ_WAIT_S
        except (OSError, TerminalError) as error:
            if port.ser is not None:
                port.closePort()
            raise PortLostError(
                f"{self.device} cannot be opened ({_reason(error)}); is the adapter plugged in, may this user open it, "
                "and does no other program use it?"
            ) from error
        self._port = port

    def close(self) -> None:
        """Close the port; the servos go on as they are. Idempotent."""
        if self._port is None:
            return
        port, self._port = self._port, None
        try:
            port.closePort()
        except (OSError, TerminalError) as error:  # it may have been unplugged
            log.warning("port_close_failed", device=self.device, error=str(error))

    def read(self, servo: int, register: Register) -> int:
        """Return one register of one servo, without a sign."""

        def exchange() -> tuple[int, int]:
            # not readTxRx: that cuts an answer to size, also a late one to the request before, of a longer register
            asked = [0, 0, servo, 4, scservo_sdk.INST_READ, register.address, register.size, 0]
            answer, result, _ = self._packets.txRxPacket(self._port, asked)
            if result == scservo_sdk.COMM_SUCCESS and len(answer) != _ANSWER_BYTES + register.size:
                result = scservo_sdk.COMM_RX_CORRUPT
            return int.from_bytes(bytes(answer[_ANSWER_BYTES - 1 : -1]), "little"), result

        return self._asked([servo], exchange)

    def write(self, servo: int, register: Register, value: int) -> None:
        """Write one register of one servo, which confirms it."""
        data = list(value.to_bytes(register.size, "little"))

        def exchange() -> tuple[None, int]:
            result, _ = self._packets.writeTxRx(self._port, servo, register.address, register.size, data)
            return None, result

        self._asked([servo], exchange)

    def save(self, servo: int, register: Register, value: int) -> None:
        """Write a register that survives a loss of power, unless it holds `value` already: such memory wears out."""
        if self.read(servo, register) == value:
            return
        self.write(servo, LOCK, 0)
        self.write(servo, register, value)
        self.write(servo, LOCK, 1)
        log.info("servo_register_saved", servo=servo, address=register.address, value=value)

    def states(self) -> dict[int, ServoState]:
        """Return what every servo reports, in one exchange."""

        def exchange() -> tuple[dict[int, ServoState], int]:
            group = scservo_sdk.GroupSyncRead(self._port, self._packets, *_STATE)  # a new one holds no old data
            for servo in self.names:
                group.addParam(servo)
            result = group.txRxPacket()
            data = {servo: bytes(values) for servo, values in group.data_dict.items()}
            self._unheard = [servo for servo, values in data.items() if len(values) != _STATE.size]
            if result == scservo_sdk.COMM_SUCCESS and self._unheard:
                result = scservo_sdk.COMM_RX_CORRUPT
            if result != scservo_sdk.COMM_SUCCESS:
                return {}, result
            return {servo: ServoState.decode(values) for servo, values in data.items()}, result

        return self._asked(list(self.names), exchange)

    def move(self, goals: Mapping[int, Goal]) -> None:
        """Send goals in one packet, which no servo confirms; `states` shows whether they arrived."""

        def exchange() -> tuple[None, int]:
            group = scservo_sdk.GroupSyncWrite(self._port, self._packets, *_GOAL)
            for servo, goal in goals.items():
                group.addParam(servo, goal.encode())
            return None, group.txPacket()

        self._asked(list(goals), exchange)

    def _asked(self, servos: Sequence[int], exchange: Callable[[], tuple[T, int]]) -> T:
        """Return what `exchange` returns once it succeeds, repeating it a few times. Raises a RobotFaultError."""
        if self._port is None:
            raise NotConnectedError(f"expected connect() before this; {self.device} is not open")
        self._unheard = []
        result = scservo_sdk.COMM_SUCCESS
        for attempt in range(self._retries + 1):
            self.retried += attempt > 0
            try:
                self._port.is_using = False
                self._port.ser.reset_input_buffer()  # a late answer must not be taken for the next one
                value, result = exchange()
            except (OSError, TerminalError) as error:
                raise PortLostError(
                    f"{self.device} is gone ({_reason(error)}); plug the adapter in and start again"
                ) from error
            if result == scservo_sdk.COMM_SUCCESS:
                return value
        raise self._silent((self._unheard or list(servos))[0], result)

    def _silent(self, servo: int, result: int) -> ServoSilentError:
        said = self._packets.getTxRxResult(result).removeprefix("[TxRxResult] ")
        return ServoSilentError(
            f"servo {servo} ({self.names[servo]}) on {self.device} does not answer after {self._retries + 1} tries: "
            f"{said} Check the arm's power supply, and the cable to that servo"
        )
