"""A host believes no hub: it checks each grant itself, field by field, without a socket."""

from __future__ import annotations

import msgspec
import pytest

from teleop.host import link
from teleop.host.link import Host
from teleop.identity import SESSION_GRANT, Domain, new_key
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.signalling import Grant
from tests.teleop.hub.bench import DOMAIN, HOUR_MS
from tests.teleop.sessions import PANDA, Puppet

NOW_MS = 1_700_000_000_000


class Desk:
    """A host without a socket, and what it does with the hub's orders."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(link, "now_ms", lambda: NOW_MS)
        self.key, self.wallet = new_key(), new_key()
        self.host = Host("http://hub", self.key, "bench", Puppet(PANDA), Events(), ())
        self.obeyed: list[signalling.Message] = []
        monkeypatch.setattr(self.host.loop, "order", self.obeyed.append)

    def order(self, **changed: object) -> signalling.LeaseOrder:
        """Return a lease over a grant by the wallet, with some of the grant's fields changed, signed as it then is."""
        values = {
            "operator": self.wallet.address,
            "session_key": new_key().address,
            "robot": self.key.address,
            "task": "lift",
            "nonce": "0x" + "01" * 32,
            "not_after_ms": NOW_MS + HOUR_MS,
        }
        grant = Grant(**{**values, **changed})
        signature = SESSION_GRANT.sign(self.wallet, DOMAIN, grant.values)
        return signalling.LeaseOrder("L", 7, grant.operator, grant, signature, grant.task)

    def says(self, order: signalling.LeaseOrder, domain: Domain = DOMAIN) -> str | None:
        """Give the host that order; return why it refuses, None if it obeys."""
        said: list[str] = []
        self.obeyed.clear()
        self.host._obey(order, domain, said.append)
        if not said:
            assert self.obeyed == [order]
            return None
        assert self.obeyed == []
        refused = signalling.from_host(said[0])
        assert isinstance(refused, signalling.Refused)
        assert refused.lease == order.lease
        return refused.reason


@pytest.fixture
def desk(monkeypatch) -> Desk:
    return Desk(monkeypatch)


def test_a_lease_over_a_grant_of_its_operator_for_this_robot_and_task_is_obeyed(desk):
    assert desk.says(desk.order()) is None
    later = msgspec.structs.replace(desk.order(not_after_ms=NOW_MS, nonce="0x" + "03" * 32), epoch=8)
    assert desk.says(later) is None


def test_a_lease_that_its_operator_did_not_grant_is_refused_and_never_reaches_the_robot(desk):
    good, other = desk.order(), new_key()
    forged = SESSION_GRANT.sign(other, DOMAIN, good.grant.values)
    for order, why in (
        (desk.order(robot=other.address), "expected a grant for"),
        (msgspec.structs.replace(good, operator=other.address), "expected a grant for"),
        (desk.order(task="push"), "expected one of the tasks"),
        (msgspec.structs.replace(good, task="push"), "expected one of the tasks"),
        (desk.order(not_after_ms=NOW_MS - 1), "not expired"),
        (msgspec.structs.replace(good, signature=forged), "expected"),
        (msgspec.structs.replace(good, signature="0x"), "expected"),
        (msgspec.structs.replace(good, grant=msgspec.structs.replace(good.grant, nonce="0x" + "02" * 32)), "expected"),
        (desk.order(operator=other.address), "expected"),
    ):
        reason = desk.says(order)
        assert reason is not None
        assert why in reason
    for domain in (Domain(1, DOMAIN.vault), Domain(DOMAIN.chain_id, new_key().address)):
        assert desk.says(good, domain) is not None, "a grant for another chain or vault"


def test_no_episode_begins_once_the_grant_has_expired_however_long_a_hub_keeps_the_lease(desk, monkeypatch):
    lease, begin = desk.order(), signalling.BeginOrder("E", 1, "0x01", PERSON)
    assert desk.says(lease) is None
    said: list[str] = []
    for now_ms, refusals in ((NOW_MS + HOUR_MS, 0), (NOW_MS + HOUR_MS + 1, 1)):
        monkeypatch.setattr(link, "now_ms", lambda now_ms=now_ms: now_ms)
        desk.obeyed.clear()
        desk.host._obey(begin, DOMAIN, said.append)
        assert (desk.obeyed, len(said)) == ([] if refusals else [begin], refusals)
    refused = signalling.from_host(said[0])
    assert isinstance(refused, signalling.Refused)
    assert (refused.lease, "not expired" in refused.reason) == (lease.lease, True)
