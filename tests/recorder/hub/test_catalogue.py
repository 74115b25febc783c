"""Pages of episodes: newest first, filtered, and neither skipped nor shown twice while others come in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.hub.catalogue import PAGE_MAX, Catalogue, CursorError, DriverView, UnknownEpisodeError, Wanted
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from teleop.wire.driver import DriverKind
from tests.recorder.served import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    yield made
    made.close()


def add(hub: Hub, number: int, **changes: object) -> None:
    values = {"state": EpisodeState.UPLOADED, "robot": "R", "operator": "O", "task": "lift"}
    with hub.database() as db, db.begin():
        db.add(EpisodeRow(episode=f"e{number:03}", created_ms=1000 + number // 3, **(values | changes)))


def all_pages(catalogue: Catalogue, limit: int, wanted: Wanted = Wanted()) -> list[str]:  # noqa: B008  frozen
    found, after = [], None
    while True:
        page = catalogue.page(wanted, limit, after)
        found += [one.episode for one in page.episodes]
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_together_are_everything_once_newest_first(hub: Hub, limit: int) -> None:
    for number in range(20):
        add(hub, number)

    assert all_pages(hub.catalogue, limit) == [f"e{number:03}" for number in range(19, -1, -1)]


def test_what_comes_in_meanwhile_moves_no_page(hub: Hub) -> None:
    for number in range(10):
        add(hub, number)
    first = hub.catalogue.page(Wanted(), 5)
    add(hub, 99)

    assert [one.episode for one in hub.catalogue.page(Wanted(), 5, first.next).episodes] == [
        "e004",
        "e003",
        "e002",
        "e001",
        "e000",
    ]


def test_filters_go_together(hub: Hub) -> None:
    add(hub, 0, task="stack")
    add(hub, 1, task="stack", operator="P")
    add(hub, 2, task="stack", operator="P", state=EpisodeState.REJECTED)
    add(hub, 3, robot="S")

    assert all_pages(hub.catalogue, 9, Wanted(task="stack", operator="P")) == ["e002", "e001"]
    assert all_pages(hub.catalogue, 9, Wanted(state=EpisodeState.REJECTED)) == ["e002"]
    assert all_pages(hub.catalogue, 9, Wanted(robot="S")) == ["e003"]


def test_episodes_are_found_by_who_or_what_drove_and_say_it(hub: Hub) -> None:
    add(hub, 0)
    add(hub, 1, driver_kind=DriverKind.PERSON, driver_name="", driver_sha256="")
    add(hub, 2, driver_kind=DriverKind.POLICY, driver_name="my_policy:act", driver_sha256="5" * 64)
    add(hub, 3, driver_kind=DriverKind.POLICY, driver_name="my_policy:act", driver_sha256="6" * 64, task="stack")

    assert all_pages(hub.catalogue, 9, Wanted(driver=DriverKind.PERSON)) == ["e001"]
    assert all_pages(hub.catalogue, 9, Wanted(driver=DriverKind.POLICY)) == ["e003", "e002"]
    assert all_pages(hub.catalogue, 9, Wanted(driver=DriverKind.POLICY, task="lift")) == ["e002"]
    assert all_pages(hub.catalogue, 9, Wanted(driver=DriverKind.SCRIPT)) == []
    assert hub.catalogue.get("e000").driver is None, "an earlier release began it"
    assert hub.catalogue.get("e001").driver == DriverView(DriverKind.PERSON, "", "")
    assert hub.catalogue.get("e002").driver == DriverView(DriverKind.POLICY, "my_policy:act", "5" * 64)


@pytest.mark.parametrize("after", ["", "x", "12", "12.", ".e", "-1.e", "1" * 30 + ".e"])
def test_a_made_up_cursor_is_refused(hub: Hub, after: str) -> None:
    with pytest.raises(CursorError, match="`next` of an earlier page"):
        hub.catalogue.page(Wanted(), 5, after)


def test_a_page_has_an_end(hub: Hub) -> None:
    for number in range(PAGE_MAX + 5):
        add(hub, number)

    assert len(hub.catalogue.page(Wanted(), 10_000).episodes) == PAGE_MAX


def test_an_unknown_episode_is_named(hub: Hub) -> None:
    with pytest.raises(UnknownEpisodeError, match="'nothing'"):
        hub.catalogue.get("nothing")
