"""A hub whose tables are in PostgreSQL: it starts, and says why if it cannot; a database that is away loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from armshare.operator.drive import drive_once
from armshare.operator.handing import contribute
from armshare.platform.processes import platform
from armshare.settings import Settings
from teleop.hub.db import open_engine
from teleop.identity import new_key
from teleop.operator import pilot
from teleop.operator.driver import Driver, RefusedError
from tests.armshare.command import armshare_here
from tests.armshare.platform.test_house import robot_of, state_of
from tests.postgres import Postgres, postgres

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of this file's own: it is stopped and started again. Nothing that it wrote is lost by that."""
    with postgres() as made:
        yield made


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_database_that_goes_away_in_the_middle_of_a_drive_loses_nothing(server, tmp_path, monkeypatch):
    name = server.create()
    monkeypatch.setenv("ARMSHARE_DATABASE", server.url(name))
    wallet, asked = new_key(), []

    def make(*arguments, **named):
        server.stop()  # the scene is reset, and the drive has not begun
        return pilot.expert(*arguments, **named)

    with (tmp_path / "log").open("wb") as log, platform(tmp_path, 0, ["panda:reach"], log) as (url, (hub, _host)):
        async with Driver(url, wallet) as driver:
            robot = await robot_of(driver)
            await driver.join(robot, "reach")
            first = await contribute(driver, await drive_once(driver, robot), robot)
            ended = await drive_once(driver, robot, make)
            asked = [
                await driver.http.get("/api/episodes"),
                await driver.http.get(f"/api/episodes/{first.episode}"),
                await driver.http.get(f"/api/balances/{wallet.address}"),
                await driver.http.post("/api/auth/challenge", json={"address": wallet.address}),
                await driver.http.post(f"/api/episodes/{ended['episode']}/signature", json={"signature": "0x"}),
            ]
            with pytest.raises(RefusedError, match="unavailable: the hub's database did not answer"):
                await driver.begin()
            server.start()
            second = await contribute(driver, ended, robot)
            third = await contribute(driver, await drive_once(driver, robot), robot)
            known = await state_of(driver, first.episode, "verified")
            balance = await driver.call("GET", f"/api/balances/{wallet.address}")
            listed = await driver.call("GET", f"/api/episodes?operator={wallet.address}&state=verified")
        hub.require_alive()

    assert {refused(one) for one in asked} == {(503, "unavailable")}
    assert known["digest"] == first.digest
    assert [first.receipt_index, second.receipt_index, third.receipt_index] == [0, 1, 2]
    assert int(balance["earned"]) == int(first.pay) + int(second.pay) + int(third.pay) > 0
    assert {one["episode"] for one in listed["episodes"]} == {first.episode, second.episode, third.episode}
    assert not list(tmp_path.glob("*.sqlite")), "nothing is kept in a file beside it"
    engine = open_engine(server.url(name))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ledger_transactions WHERE kind = 'episode'")) == 3
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", 'database "nothing" does not exist). Start it, or name another with --database'),
        ("postgresql://me:secret@127.0.0.1:1/arms", "me:***@127.0.0.1:1/arms cannot be used (connection failed"),
        ("mysql://127.0.0.1/arms", "ARMSHARE_DATABASE: expected a database's URL that begins with postgresql://"),
        ("sqlite:///arms", "ARMSHARE_DATABASE: expected the URL of a PostgreSQL database, such as postgresql://"),
        ("arms", "ARMSHARE_DATABASE: expected a database's URL, such as postgresql://"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_at_the_start(server, tmp_path: Path, url: str, says: str):
    url = url or server.url("nothing")
    done = armshare_here("hub", "--data", str(tmp_path / "data"), "--port", "0", "--database", url)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "secret" not in done.stderr


def test_a_password_is_never_in_what_a_database_is_called():
    settings = Settings(database="postgresql://me:secret@localhost/arms")
    assert settings.database_named == "postgresql://me:***@localhost/arms"
    assert "secret" in settings.database_url
