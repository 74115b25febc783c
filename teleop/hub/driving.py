"""What the hub's routes work with: its accounts, robots and live hub, and who it is that asks."""

from __future__ import annotations

from fastapi import Request

from teleop.hub.accounts import Accounts, NotSignedInError
from teleop.hub.cluster.cluster import Cluster
from teleop.hub.hub import Hub
from teleop.hub.leases.docks import Presence
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
        cluster: Cluster | None = None,
    ) -> None:
        """`cluster`: the other hubs, if there are several."""
        self.accounts, self.registry, self.hub = accounts, registry, hub
        self.domain, self.models, self.cluster = domain, models, cluster

    def operator(self, request: Request) -> str:
        """Return the signed-in wallet's address; raise NotSignedInError."""
        return self.accounts.address_of(bearer(request))

    def host(self, request: Request) -> str:
        """Return the address of the robot whose upload token came, to any hub; raise NotSignedInError. May block."""
        return self.robot_of(bearer(request))

    def robot_of(self, token: str) -> str:
        """Return the robot whose upload token this is, which it may have from another hub; raise NotSignedInError."""
        dock = self.hub.uploader(token)
        found = dock.address if dock is not None else self.registry.uploader(token) if self.cluster else None
        if found is None:
            raise NotSignedInError("expected the upload token of a robot that is online; connect its host again")
        return found

    def presences(self) -> dict[str, Presence]:
        """Return what the cards say about every robot that is online, at any hub. It belongs to the event loop."""
        return self.cluster.presences() if self.cluster else self.hub.presences()

    def unknown(self) -> dict[str, str]:
        """Return the robots that were at another hub which has gone silent, and at which. As `presences`."""
        return self.cluster.unknown() if self.cluster else {}


def bearer(request: Request) -> str:
    """Return the request's bearer token, empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
