"""A bus of Feetech STS3215 servos behind a pseudo-terminal: what a serial adapter with an arm on it looks like.

The vendor's SDK talks to `FeetechBus.device` as to a real port. Registers and packets are those of the STS series;
a servo follows its goal with first-order dynamics, within its goal speed and acceleration, on the clock it is given.
Faults are injected by name: silent servos, lost and damaged replies, noise, alarms, heat, lost power, a pulled plug.
"""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

BROADCAST: Final = 0xFE
PING, READ, WRITE, REG_WRITE, ACTION, SYNC_READ, SYNC_WRITE = 1, 2, 3, 4, 5, 0x82, 0x83
TURN: Final = 4096
OVERLOAD: Final = 0x20
MODEL_STS3215: Final = 777

_EEPROM_END: Final = 40
_OFFSET, _MODE, _TORQUE, _ACCELERATION, _GOAL, _SPEED, _LOCK, _PRESENT = 31, 33, 40, 41, 42, 46, 55, 56
_READ_ONLY: Final = range(_PRESENT, 71)
_STEP_S: Final = 0.002
_LAG_S: Final = 0.03
_SPEED_MAX: Final = 3400.0
# Factory values of the saved registers: address -> bytes.
_FACTORY: Final[dict[int, tuple[int, ...]]] = {
    0: (3, 10),
    3: (MODEL_STS3215 & 0xFF, MODEL_STS3215 >> 8),
    7: (0, 1, 0, 0, 0xFF, 0x0F, 70, 140, 40, 0xE8, 0x03, 12, 44, 47, 32, 32, 0, 16, 0, 1, 1, 0xF4, 0x01, 1),
    34: (20, 200, 80, 10, 200, 10),
}


class ManualClock:
    """A clock that stands until it is told to go on.

    A bus on it does not know what is still on its way through the terminal: before time may pass, ask the bus
    something, for its answer comes after all that was sent before.
    """

    def __init__(self) -> None:
        self._now_s = 0.0

    def __call__(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds


@dataclass(frozen=True, slots=True)
class Packet:
    """One instruction as it came over the wire."""

    servo: int
    instruction: int
    parameters: bytes

    def encode(self) -> bytes:
        """Return the packet's bytes; a status packet is the same with its error byte for the instruction."""
        body = bytes((self.servo, len(self.parameters) + 2, self.instruction)) + self.parameters
        return b"\xff\xff" + body + bytes((~sum(body) & 0xFF,))


class PacketReader:
    """Cuts a stream of bytes into packets; what is no packet, or has a wrong checksum, is skipped."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that are complete now."""
        self._buffer += data
        packets = []
        while (start := self._buffer.find(b"\xff\xff")) >= 0:
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 4:
                return packets
            servo, length = self._buffer[2], self._buffer[3]
            if servo == 0xFF or length < 2:
                self._buffer = self._buffer[1:]
                continue
            if len(self._buffer) < 4 + length:
                return packets
            body = self._buffer[2 : 4 + length]
            if ~sum(body[:-1]) & 0xFF != body[-1]:
                self._buffer = self._buffer[1:]
                continue
            packets.append(Packet(servo, body[2], body[3:-1]))
            self._buffer = self._buffer[4 + length :]
        self._buffer = self._buffer[-1:] if self._buffer.endswith(b"\xff") else b""
        return packets


@dataclass(slots=True)
class Servo:
    """One STS3215. `shaft` is where it really stands, in ticks of one turn; `silent` is a cable that came loose."""

    servo: int
    shaft: float = 2048.0
    speed: float = 0.0
    silent: bool = False
    status: int = 0
    temperature_c: int = 31
    voltage_v: float = 7.4
    table: bytearray = field(default_factory=lambda: bytearray(128))
    saved: bytearray = field(default_factory=lambda: bytearray(_EEPROM_END))
    postponed: tuple[int, bytes] | None = None

    def __post_init__(self) -> None:
        for address, values in _FACTORY.items():
            self.saved[address : address + len(values)] = bytes(values)
        self.saved[5] = self.servo
        self.power_cycle()

    def power_cycle(self) -> None:
        """Forget all that was not saved: torque is off and limits are the saved ones."""
        self.table = bytearray(128)
        self.table[:_EEPROM_END] = self.saved
        self.table[48:50] = self.saved[16:18]
        self.table[_LOCK] = 1
        self.speed, self.status = 0.0, 0

    @property
    def torque(self) -> bool:
        """Whether the motor is on."""
        return bool(self.table[_TORQUE])

    @property
    def position(self) -> int:
        """The position it reports: the shaft's, less the homing offset, within one turn."""
        return round(self.shaft - self._offset) % TURN

    @property
    def goal(self) -> int:
        """The goal register."""
        return self._word(_GOAL)

    def save(self, address: int, value: int, size: int = 1) -> None:
        """Set a saved register, as a former owner did."""
        data = value.to_bytes(size, "little")
        self.saved[address : address + size] = self.table[address : address + size] = data

    def overload(self) -> None:
        """Report an overload and let go, as the servo's own protection does."""
        self.status |= OVERLOAD
        self.table[_TORQUE] = 0

    def read(self, address: int, size: int) -> bytes:
        """Return registers, the measured ones as they are now."""
        away = self._away() if self.torque else 0.0
        load = min(1000, round(abs(away) * 4)) | (0x400 if away < 0 else 0)
        speed = min(0x7FFF, round(abs(self.speed))) | (0x8000 if self.speed < 0 else 0)
        measured = b"".join(value.to_bytes(2, "little") for value in (self.position, speed, load))
        rest = (round(self.voltage_v * 10), self.temperature_c, 0, self.status, int(abs(self.speed) > 1), 0, 0)
        current = min(500, round(abs(away))).to_bytes(2, "little")
        self.table[_PRESENT:71] = measured + bytes(rest) + current
        return bytes(self.table[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        """Write registers; measured ones stay, and saved ones outlive the power only while unlocked."""
        for at, value in enumerate(data, address):
            if at in _READ_ONLY or at < 5:
                continue
            self.table[at] = value
            if at < _EEPROM_END and not self.table[_LOCK]:
                self.saved[at] = value

    def run(self, steps: int) -> None:
        """Let the motor follow its goal for a while, in steps of 2 ms."""
        if not self.torque or self.table[_MODE] != 0:
            self.speed = 0.0
            return
        fastest = float(self._word(_SPEED)) or _SPEED_MAX
        change = 100.0 * (self.table[_ACCELERATION] or 1000) * _STEP_S
        for _ in range(steps):
            away = self._away()
            if abs(away) < 0.01 and abs(self.speed) < 1.0:
                self.speed = 0.0
                return
            wanted = max(-fastest, min(fastest, away / _LAG_S))
            self.speed = max(self.speed - change, min(self.speed + change, wanted))
            self.shaft += self.speed * _STEP_S

    def _away(self) -> float:
        goal = max(self._word(9), min(self._word(11), self.goal)) if self._word(11) else self.goal
        return goal - (self.shaft - self._offset)

    @property
    def _offset(self) -> int:
        word = self._word(_OFFSET)
        return -(word & 0x7FF) if word & 0x800 else word & 0x7FF

    def _word(self, address: int) -> int:
        return self.table[address] | self.table[address + 1] << 8


class FeetechBus:
    """The bus. Use it as a context manager; `device` is the port's path."""

    def __init__(self, ids: Iterable[int] = range(1, 7), clock: Callable[[], float] = time.monotonic) -> None:
        self.servos = {servo: Servo(servo) for servo in ids}
        self.requests: list[Packet] = []
        self.noise = b""
        """Sent before each answer."""
        self._drop = self._damage = 0
        self._clock = clock
        self._then_s = clock()
        self._lock = threading.Lock()
        self._heard = threading.Condition(self._lock)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.device = os.ttyname(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="feetech-bus", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Pull the plug for good. Idempotent."""
        if not self._thread.is_alive() and self._master < 0:
            return
        os.write(self._wake_write, b"x")
        self._thread.join()
        for handle in (self._master, self._slave, self._wake_read, self._wake_write):
            os.close(handle)
        self._master = -1

    def unplug(self) -> None:
        """Take the adapter away while it is in use."""
        self.close()

    def drop_replies(self, requests: int) -> None:
        """Answer nothing to the next few requests."""
        with self._lock:
            self._drop = requests

    def damage_replies(self, requests: int) -> None:
        """Answer the next few requests with a wrong checksum."""
        with self._lock:
            self._damage = requests

    def settle(self) -> None:
        """Bring every servo to the clock's present."""
        with self._lock:
            self._run()

    def next_request(self, instruction: int, timeout_s: float = 10.0) -> None:
        """Wait until the bus has heard one more request of this kind."""
        with self._heard:
            past = len(self.requests)
            if not self._heard.wait_for(lambda: self._has(instruction, past), timeout_s):
                raise TimeoutError(f"expected instruction {instruction:#x} within {timeout_s} s, heard none")

    def _has(self, instruction: int, past: int) -> bool:
        return any(packet.instruction == instruction for packet in self.requests[past:])

    def writes(self, address: int) -> list[Packet]:
        """Return the write and sync write requests whose first register is `address`, oldest first."""
        with self._lock:
            found = [p for p in self.requests if p.instruction in (WRITE, SYNC_WRITE)]
        return [packet for packet in found if packet.parameters[0] == address]

    def _serve(self) -> None:
        reader = PacketReader()
        while True:
            ready, _, _ = select.select([self._master, self._wake_read], [], [])
            if self._wake_read in ready:
                return
            for packet in reader.feed(os.read(self._master, 4096)):
                with self._lock:
                    answer = self._answer(packet)
                if answer:
                    os.write(self._master, self.noise + answer)

    def _run(self) -> None:
        steps = int((self._clock() - self._then_s) / _STEP_S)
        for servo in self.servos.values():
            servo.run(steps)
        self._then_s += steps * _STEP_S

    def _answer(self, packet: Packet) -> bytes:
        self._run()
        self.requests.append(packet)
        self._heard.notify_all()
        answers = [self._status(servo, data) for servo, data in self._execute(packet)]
        if answers and self._drop:
            self._drop -= 1
            return b""
        if answers and self._damage:
            self._damage -= 1
            answers[0] = answers[0][:-1] + bytes((answers[0][-1] ^ 0x55,))
        return b"".join(answers)

    def _status(self, servo: Servo, data: bytes) -> bytes:
        return Packet(servo.servo, servo.status, data).encode()

    def _execute(self, packet: Packet) -> list[tuple[Servo, bytes]]:
        heard = {number: servo for number, servo in self.servos.items() if not servo.silent}
        if packet.instruction == SYNC_WRITE:
            _sync_write(heard, packet.parameters)
            return []
        if packet.instruction == SYNC_READ:
            address, size, *numbers = packet.parameters
            return [(heard[number], heard[number].read(address, size)) for number in numbers if number in heard]
        named = list(heard.values()) if packet.servo == BROADCAST else [heard.get(packet.servo)]
        answers = [(servo, _one(servo, packet)) for servo in named if servo is not None]
        return answers if packet.servo != BROADCAST or packet.instruction == PING else []


def _one(servo: Servo, packet: Packet) -> bytes:
    data = packet.parameters
    if packet.instruction == READ:
        return servo.read(data[0], data[1])
    if packet.instruction == WRITE:
        servo.write(data[0], data[1:])
    elif packet.instruction == REG_WRITE:
        servo.postponed = (data[0], data[1:])
    elif packet.instruction == ACTION and servo.postponed is not None:
        servo.write(*servo.postponed)
        servo.postponed = None
    return b""


def _sync_write(heard: dict[int, Servo], parameters: bytes) -> None:
    address, size = parameters[0], parameters[1]
    for start in range(2, len(parameters), size + 1):
        if parameters[start] in heard:
            heard[parameters[start]].write(address, parameters[start + 1 : start + 1 + size])
