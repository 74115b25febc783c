"""An episode as anyone may see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.hub.catalogue import DriverView, UnknownEpisodeError
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from teleop.wire.driver import DriverKind
from tests.recorder.served import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    yield made
    made.close()


def add(hub: Hub, episode: str, **changes: object) -> None:
    values = {"state": EpisodeState.UPLOADED, "robot": "R", "operator": "O", "task": "lift", "created_ms": 1}
    with hub.database() as db, db.begin():
        db.add(EpisodeRow(episode=episode, **(values | changes)))


def test_an_episode_says_who_or_what_drove(hub: Hub) -> None:
    add(hub, "e0")
    add(hub, "e1", driver_kind=DriverKind.PERSON, driver_name="", driver_sha256="")
    add(hub, "e2", driver_kind=DriverKind.POLICY, driver_name="my_policy:act", driver_sha256="5" * 64)

    assert hub.catalogue.get("e0").driver is None, "an earlier release began it"
    assert hub.catalogue.get("e1").driver == DriverView(DriverKind.PERSON, "", "")
    assert hub.catalogue.get("e2").driver == DriverView(DriverKind.POLICY, "my_policy:act", "5" * 64)


def test_an_episode_says_its_model_and_its_length_once_they_are_known(hub: Hub) -> None:
    add(hub, "e0")
    add(hub, "e1", model="panda", duration_ms=12_345)

    assert (hub.catalogue.get("e0").model, hub.catalogue.get("e0").duration_s) == (None, None)
    assert (hub.catalogue.get("e1").model, hub.catalogue.get("e1").duration_s) == ("panda", 12.345)


def test_an_unknown_episode_is_named(hub: Hub) -> None:
    with pytest.raises(UnknownEpisodeError, match="'nothing'"):
        hub.catalogue.get("nothing")
