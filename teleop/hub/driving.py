"""What the hub's routes work with: its accounts, robots and live hub, and who it is that asks."""

from __future__ import annotations

from fastapi import Request

from teleop.hub.accounts import Accounts, NotSignedInError
from teleop.hub.hub import Hub
from teleop.hub.leases.docks import Dock
from teleop.hub.robots.registry import Registry
from teleop.hub.server.encoded import EncodedCache
from teleop.identity import Domain


class Driving:
    """What the routes need, and what later packages ask for: who is signed in, who uploads, what was asked for."""

    def __init__(
        self,
        accounts: Accounts,
        registry: Registry,
        hub: Hub,
        domain: Domain,
        models: EncodedCache | None = None,
    ) -> None:
        self.accounts, self.registry, self.hub = accounts, registry, hub
        self.domain, self.models = domain, models

    def operator(self, request: Request) -> str:
        """Return the signed-in wallet's address; raise NotSignedInError."""
        return self.accounts.address_of(bearer(request))

    def host(self, request: Request) -> str:
        """Return the address of the robot whose upload token came; raise NotSignedInError."""
        return self.dock(bearer(request)).address

    def dock(self, token: str) -> Dock:
        """Return the robot whose upload token this is; raise NotSignedInError."""
        dock = self.hub.uploader(token)
        if dock is not None:
            return dock
        raise NotSignedInError("expected the upload token of a robot that is online; connect its host again")


def bearer(request: Request) -> str:
    """Return the request's bearer token, empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
