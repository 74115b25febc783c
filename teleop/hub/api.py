"""teleop's routes on the hub: sign-in and robots over HTTP; those over websockets are in `sockets.py`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from anyio import from_thread
from fastapi import APIRouter, Depends, Request, Response

from sim.catalogue import ROBOTS, UnknownRobotError, model
from sim.model.assets import asset as model_asset
from teleop.hub.accounts import Accounts
from teleop.hub.answers import (
    Challenge,
    ChallengeAnswer,
    CountsAnswer,
    DescribedRobotAnswer,
    PrivacyAnswer,
    PrivacyAsked,
    Proof,
    RegisteredRobot,
    Registration,
    RobotAnswer,
    RobotChallengeAnswer,
    RobotChallengeAsked,
    SignedInAnswer,
)
from teleop.hub.driving import Driving, bearer
from teleop.hub.errors import ApiError, code_of
from teleop.hub.leases.docks import Presence
from teleop.hub.listing import Listing
from teleop.hub.robots.privacy import NotOwnerError, RobotDrivenError
from teleop.hub.robots.registrations import RegistrationError
from teleop.hub.robots.registry import Registry, UnknownRobotAddressError
from teleop.hub.server.encoded import answer
from teleop.hub.sockets import add_sockets
from teleop.hub.tables import RobotRow
from teleop.identity import SignatureError
from teleop.wire.descriptor import plain_task
from teleop.wire.schema import published


def router(driving: Driving) -> APIRouter:
    """Return teleop's routes."""
    routes = APIRouter()
    _add_accounts(routes, driving.accounts, driving)
    _add_robots(routes, driving.registry, driving)
    _add_privacy(routes, driving.registry, driving)
    _add_reading(routes, driving)
    add_sockets(routes, driving)
    return routes


def _add_accounts(routes: APIRouter, accounts: Accounts, driving: Driving) -> None:
    @routes.post("/api/auth/challenge")
    def challenge(body: Challenge) -> ChallengeAnswer:
        """Begin to sign in."""
        try:
            nonce, message = accounts.challenge(body.address)
        except SignatureError as error:
            raise ApiError(422, "address", str(error)) from error
        return ChallengeAnswer(nonce=nonce, message=message)

    @routes.post("/api/auth/verify")
    def verify(body: Proof) -> SignedInAnswer:
        """Sign in."""
        try:
            signed = accounts.verify(body.nonce, body.signature)
        except SignatureError as error:
            raise ApiError(401, "signature", str(error)) from error
        return SignedInAnswer(token=signed.token, address=signed.address, expires_ms=signed.expires_ms)

    @routes.post("/api/auth/sign-out", status_code=204)
    def sign_out(request: Request, _address: str = Depends(driving.operator)) -> Response:
        """Invalidate the token."""
        accounts.sign_out(bearer(request))
        return Response(status_code=204)


def _add_robots(routes: APIRouter, registry: Registry, driving: Driving) -> None:
    listing = Listing(registry, partial(_card, driving))

    @routes.get("/api/robots", response_model=list[RobotAnswer])
    def robots() -> Response:
        online, unknown = from_thread.run_sync(_present, driving)
        return Response(listing.json(online, unknown), media_type="application/json")

    @routes.get("/api/robots/{robot}", response_model=DescribedRobotAnswer)
    def robot(robot: str) -> dict[str, Any]:
        try:
            row = registry.robot(robot)
        except UnknownRobotAddressError as error:
            raise ApiError(404, "unknown_robot", str(error)) from error
        card = _card(driving, row, *from_thread.run_sync(_present, driving))
        return {**card, "descriptor": row.descriptor, "registration": _registration(row)}

    @routes.post("/api/robots/challenge")
    def challenge(body: RobotChallengeAsked) -> RobotChallengeAnswer:
        """Begin to register a robot."""
        try:
            nonce, expires_ms = registry.challenge(body.robot)
        except RegistrationError as error:
            raise ApiError(422, "address", str(error)) from error
        return RobotChallengeAnswer(nonce=nonce, expires_ms=expires_ms)

    @routes.post("/api/robots", status_code=201, response_model=RobotAnswer)
    def register(body: Registration) -> dict[str, Any]:
        try:
            row = registry.register(body.registration.model_dump(), body.signature, body.robot_signature)
        except RegistrationError as error:
            raise ApiError(422, code_of(type(error)), str(error)) from error
        return _card(driving, row, *from_thread.run_sync(_present, driving))

    @routes.delete("/api/robots/{robot}", status_code=204)
    def remove(robot: str, owner: str = Depends(driving.operator)) -> Response:
        online, unknown = from_thread.run_sync(_present, driving)
        if robot in online or robot in unknown:
            raise ApiError(
                409, "online", "this robot is online, and only one that is away can be removed: end its host first"
            )
        try:
            registry.remove(robot, owner)
        except UnknownRobotAddressError as error:
            raise ApiError(404, "unknown_robot", str(error)) from error
        except SignatureError as error:
            raise ApiError(403, "not_owner", str(error)) from error
        return Response(status_code=204)


def _add_privacy(routes: APIRouter, registry: Registry, driving: Driving) -> None:
    def known(robot: str) -> RobotRow:
        try:
            return registry.robot(robot)
        except UnknownRobotAddressError as error:
            raise ApiError(404, "unknown_robot", str(error)) from error

    @routes.get("/api/robots/{robot}/privacy")
    def privacy(robot: str) -> PrivacyAnswer:
        """Return whether what is driven with a robot is private, and who, beside its operator and owner, reads it."""
        row = known(robot)
        return PrivacyAnswer(robot=row.address, private=row.private, readers=registry.privacy.readers(row.address))

    @routes.put("/api/robots/{robot}/privacy")
    def put_privacy(robot: str, asked: PrivacyAsked, owner: str = Depends(driving.operator)) -> PrivacyAnswer:
        """Decide, as a robot's owner, whether what is driven with it from now on is private, and who may read that."""
        row = known(robot)
        here = from_thread.run_sync(driving.hub.presences).get(row.address)
        driven = here is not None and (here.driver is not None or here.queue_length > 0)
        try:
            readers = registry.privacy.put(
                row.address, owner, private=asked.private, readers=asked.readers, driven=driven
            )
        except SignatureError as error:
            raise ApiError(422, "address", str(error)) from error
        except NotOwnerError as error:
            raise ApiError(403, "not_owner", str(error)) from error
        except RobotDrivenError as error:
            raise ApiError(409, "robot_driven", str(error)) from error
        if asked.private:
            from_thread.run_sync(driving.hub.show_no_more, row.address, frozenset((row.owner, *readers)))
        return PrivacyAnswer(robot=row.address, private=asked.private, readers=readers)


def _add_reading(routes: APIRouter, driving: Driving) -> None:
    @routes.get("/assets/models/{name}/{path:path}", include_in_schema=False)
    def asset(name: str, path: str, request: Request) -> Response:
        try:
            found = model(name)
        except UnknownRobotError as error:
            raise ApiError(404, "unknown_robot", str(error)) from error
        file = model_asset(found, path)
        if file is None:
            raise ApiError(404, "unknown_file", f"expected a file of the model {name}, got {path!r}")
        encoded = driving.models.of(file) if driving.models else {}
        keep = "public, max-age=3600" if name in ROBOTS else "no-cache"  # an added robot may be replaced
        return answer(file, encoded, request.headers, {"Cache-Control": keep})

    @routes.get("/api/protocol")
    def protocol() -> dict[str, Any]:
        return published()

    @routes.get("/api/counts", response_model=CountsAnswer)
    async def counts() -> dict[str, Any]:
        report = driving.cluster.report() if driving.cluster else None
        return {**driving.hub.census(), "several": report}


def _present(driving: Driving) -> tuple[Mapping[str, Presence], Mapping[str, str]]:
    """Return the robots that are online, and those of which nothing is known, at one moment."""
    return driving.presences(), driving.unknown()


def _card(
    driving: Driving, row: RobotRow, online: Mapping[str, Presence], unknown: Mapping[str, str]
) -> dict[str, Any]:
    here = online.get(row.address)
    tasks = (row.descriptor or {}).get("tasks", [])
    return {
        "robot": row.address,
        "name": row.name,
        "model": row.model,
        "owner": row.owner,
        "driver": here.driver if here else None,
        "kept_s": here.kept_s if here else None,
        "task": here.task if here else None,
        "simulated": row.simulated,
        "private": row.private,
        "online": here is not None,
        "estopped": here is not None and here.estopped,
        "fault": here.fault if here else None,
        "stop": here.stop if here else None,
        "unrecordable": here.unrecordable if here else None,
        "state": here.state if here else "offline",
        "unknown": None if here else _unknown(unknown.get(row.address)),
        "queue_length": here.queue_length if here else 0,
        "wait_s": here.wait_s if here else None,
        "tasks": [_task(driving, row, here, task) for task in tasks],
    }


def _unknown(hub: str | None) -> str | None:
    if hub is None:
        return None
    return f"it was at the hub {hub}, which this one does not hear: it may be driven there, and cannot be reached here"


def _registration(row: RobotRow) -> Registration | None:
    """Return the registration as it was signed; None for one of an earlier release."""
    if row.robot_signature is None or row.nonce is None or row.issued_ms is None:
        return None
    signed = RegisteredRobot(
        robot=row.address,
        owner=row.owner,
        name=row.name,
        model=row.model,
        simulated=row.simulated,
        nonce=row.nonce,
        issuedMs=row.issued_ms,
    )
    return Registration(registration=signed, signature=row.signature, robot_signature=row.robot_signature)


def _task(driving: Driving, row: RobotRow, here: Presence | None, task: Mapping[str, Any]) -> dict[str, Any]:
    price_wei = driving.registry.price_wei(task["name"])
    unchecked = here.unchecked.get(task["name"]) if here else None
    return {**plain_task(task), "price": str(price_wei), "unchecked": unchecked}
