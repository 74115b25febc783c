"""What teleop's routes take and answer, as `/openapi.json` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator

from teleop.hub.robots.privacy import READERS_MAX

Address = Annotated[str, Field(max_length=64)]
Signature = Annotated[str, Field(max_length=400)]


class Challenge(BaseModel):
    """Who wants to sign in."""

    address: Address


class ChallengeAnswer(BaseModel):
    """The text to sign (EIP-4361)."""

    nonce: str
    message: str


class Proof(BaseModel):
    """The signed challenge."""

    nonce: str = Field(max_length=200)
    signature: Signature


class SignedInAnswer(BaseModel):
    """The token of a signed-in wallet."""

    token: str
    address: str
    expires_ms: int


class RobotChallengeAsked(BaseModel):
    """Which robot is to be registered."""

    robot: Address


class RobotChallengeAnswer(BaseModel):
    """A nonce for one registration of that robot."""

    nonce: str
    expires_ms: int


class RegisteredRobot(BaseModel):
    """What a robot's owner and the robot's own key sign.

    An earlier release's host says neither nonce nor time, and is told by name what is missing.
    """

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    robot: Address
    owner: Address
    name: str = Field(max_length=200)
    model: str = Field(max_length=200)
    simulated: StrictBool
    nonce: str = Field("", max_length=66)
    issued_ms: int = Field(0, alias="issuedMs", ge=0, lt=2**63)


class Registration(BaseModel):
    """A robot, and the signatures of its owner's wallet and of its own key over it."""

    registration: RegisteredRobot
    signature: Signature
    robot_signature: Signature = ""


class TaskAnswer(BaseModel):
    """What a robot can be asked to do. A descriptor may say more about it."""

    model_config = ConfigDict(extra="allow")

    name: str
    instruction: str
    max_steps: int
    price: str
    """The most that an accepted episode pays, in wei."""
    unchecked: str | None = None
    """Why this hub cannot check what is driven now: it is held, and not paid, until it can; null if it can."""


class RobotAnswer(BaseModel):
    """A robot, as the lobby shows it."""

    robot: str
    name: str
    model: str
    owner: str
    driver: str | None
    kept_s: int | None = None
    """For how long the drive is still kept for its driver, whose connection was lost; null if they are here."""
    task: str | None
    """The task that it is driven at; None if nobody drives."""
    simulated: bool
    private: bool = False
    """Whether what is driven with it is private: who may read that, `GET /api/robots/{robot}/privacy` says."""
    online: bool
    estopped: bool
    fault: str | None
    """What broke it, in its host's words, until its owner clears that."""
    stop: str | None = None
    """What its owner's `clear` must name (PROTOCOL.md); null if it is neither stopped nor broken."""
    unrecordable: str | None
    """What keeps its host from recording, in its host's words: nobody can drive it for an episode."""
    state: Literal["offline", "free", "driven", "stopped", "faulted", "full"]
    unknown: str | None = None
    """Why this hub does not know what it does: it was at another hub, which is silent. Null if it knows."""
    queue_length: int
    wait_s: float | None
    tasks: list[TaskAnswer]

    @field_validator("tasks", mode="before")
    @classmethod
    def _known(cls, tasks: Sequence[Mapping[str, Any]]) -> list[TaskAnswer]:
        """Leave out an incomplete task that an older hub kept: it must not cost everyone the list."""
        return [found for task in tasks if (found := _task(task)) is not None]


def _task(said: Mapping[str, Any]) -> TaskAnswer | None:
    try:
        return TaskAnswer.model_validate(said)
    except ValidationError:
        return None


class PrivacyAsked(BaseModel):
    """Whether what is driven with a robot is private, and the wallets that may read it beside operator and owner."""

    model_config = ConfigDict(extra="forbid")

    private: StrictBool
    readers: list[Address] = Field([], max_length=READERS_MAX)


class PrivacyAnswer(BaseModel):
    """Whether what is driven with a robot from now on is private, and who may read what is."""

    robot: str
    private: bool
    readers: list[str]
    """Beside each episode's operator, and the robot's owner."""


class DescribedRobotAnswer(RobotAnswer):
    """A robot, with its host's description of it (PROTOCOL.md), and what proves who registered it."""

    descriptor: dict[str, Any] | None
    registration: Registration | None
    """As it was signed; null if an earlier release registered it."""


class SeveralAnswer(BaseModel):
    """How one of several hubs sees the others."""

    hub: str
    """This one's name."""
    bus: bool
    """Whether the bus is there, by which it hears of the others."""
    hubs: dict[str, float]
    """Each other hub that it has heard of, and for how long that one has said nothing, s."""
    elsewhere: int
    """How many robots are at other hubs."""
    unknown: int
    """How many robots were at a hub that is silent, so that nothing is known of them."""
    watching_elsewhere: int
    """How many people watch such a robot here."""


class CountsAnswer(BaseModel):
    """Who is here, and what has been counted since the hub began."""

    operators: int
    robots: int
    holding: int
    queued: int
    watching: int
    looking: int
    unwritten: int
    """How many ends of leases are not in the database yet."""
    counts: dict[str, int]
    several: SeveralAnswer | None = None
    """Null if this hub is the only one."""
