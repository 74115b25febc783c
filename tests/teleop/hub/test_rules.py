"""The rules in force when an episode begins go into its ticket, to its host, and into what the host records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from teleop.hub.db import open_database, open_engine
from teleop.hub.robots.registry import Registry
from teleop.identity import new_key
from teleop.steps import EpisodeStart
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import Mode
from teleop.wire.signalling import Grant, SignallingError
from tests.databases import migrated, url_below
from tests.teleop.hub.bench import DOMAIN, Bench, descriptor
from tests.teleop.registering import register
from tests.teleop.sessions import Bench as HostBench


@pytest.mark.anyio
async def test_the_rules_of_the_ticket_go_to_the_robots_host() -> None:
    bench = Bench()
    bench.store.rules = "3"
    _dock, host = await bench.host()
    operator = bench.operator()
    await operator.join()
    await operator.says(signalling.Begin(PERSON))
    assert host.last("begin")["rules"] == bench.store.tickets[0].rules == "3"


@pytest.mark.parametrize("rules", ["3", None])
def test_a_registry_keeps_the_rules_in_force_with_each_ticket(tmp_path: Path, rules: str | None) -> None:
    engine = open_engine(url_below(tmp_path))
    migrated(engine)
    registry = Registry(open_database(engine), DOMAIN, rules=rules)
    robot, owner, operator = new_key(), new_key(), new_key()
    register(registry, owner, robot, name="r")
    grant = Grant(operator.address, operator.address, robot.address, "lift", "0x" + 64 * "1", 1)
    ticket = registry.issue_ticket(registry.open_lease("L", grant, "0x"), "lift", descriptor(), PERSON)
    found = registry.ticket(ticket.episode)
    assert found is not None
    assert found.row.rules == rules
    engine.dispose()


@pytest.mark.parametrize("rules", ["3", None])
def test_a_host_records_the_rules_that_it_was_told(rules: str | None) -> None:
    bench = HostBench()
    bench.lease()
    bench.session.obey(signalling.BeginOrder("E", 1, "0x01", PERSON, rules))
    bench.tick()
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, np.zeros(7), 3)
    start = bench.events.get_nowait()
    assert isinstance(start, EpisodeStart)
    assert start.rules == rules


def test_an_order_of_a_hub_that_names_no_rules_is_still_obeyed() -> None:
    order = signalling.to_host('{"type":"begin","episode":"E","seed":1,"nonce":"0x01","driver":{"kind":"person"}}')
    assert isinstance(order, signalling.BeginOrder)
    assert order.rules is None


@pytest.mark.parametrize("rules", ["", "a b", "x" * 17])
def test_rules_without_a_plain_name_are_no_order(rules: str) -> None:
    said = signalling.encode(signalling.BeginOrder("E", 1, "0x01", PERSON, rules))
    with pytest.raises(SignallingError):
        signalling.to_host(said)
