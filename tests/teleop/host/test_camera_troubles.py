"""What is wrong with a camera while it records reaches the hub as it is, and the owner's log once."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from teleop.cameras.film import Trouble
from teleop.cameras.orders import Troubled
from teleop.host.cameras import troubles as module
from teleop.host.cameras.troubles import Troubles
from teleop.steps import EpisodeStart
from teleop.wire import signalling
from tests.recorder.factory import fake_start

SECOND = 1_000_000_000
FIRST = 50 * SECOND


class Log:
    """An owner's log."""

    def __init__(self) -> None:
        self.said: list[dict[str, object]] = []

    def warning(self, what: str, **more: object) -> None:
        self.said.append({"what": what, **more})


class Told(Troubles):
    """Troubles, and what was told of them."""

    def __init__(self, *episodes: str) -> None:
        self.told: list[signalling.Message] = []
        super().__init__(self.told.append)
        for episode in episodes:
            self.begin(start(episode))

    def hear(
        self, trouble: Trouble, from_s: float, until_s: float, *, over: bool, camera: str = "wrist", of: str = "e"
    ) -> None:
        times = (FIRST + round(at_s * SECOND) for at_s in (from_s, until_s))
        self.take(Troubled(of, camera, trouble, *times, over))


def start(episode: str) -> EpisodeStart:
    return replace(fake_start(), episode=episode, t_mono_ns=FIRST)


def told(trouble: str, times: int, from_s: float, until_s: float | None, camera: str = "wrist", of: str = "e"):
    return signalling.CameraTroubled(of, camera, trouble, times, from_s, until_s)  # type: ignore[arg-type]  a name


@pytest.fixture
def log(monkeypatch) -> Log:
    found = Log()
    monkeypatch.setattr(module, "_log", found)
    return found


def test_a_camera_that_stops_and_comes_back_is_told_by_name_with_its_times(log):
    made = Told("e")
    made.hear(Trouble.LOST, 12.0, 13.0, over=False)
    made.hear(Trouble.LOST, 12.0, 15.5, over=True)
    assert made.told == [told("lost", 1, 12.0, None), told("lost", 1, 12.0, 15.5)]
    assert [(said["camera"], said["says"]) for said in log.said] == [("wrist", "it gives no pictures")]


def test_trouble_that_comes_again_is_counted_and_logged_once(log):
    made = Told("e")
    made.hear(Trouble.MISSING, 1.0, 1.2, over=True)
    made.hear(Trouble.MISSING, 4.0, 4.6, over=False)
    made.hear(Trouble.MISSING, 4.0, 5.0, over=True)
    assert made.told[1:] == [told("missing", 2, 4.0, None), told("missing", 2, 4.0, 5.0)]
    assert len(log.said) == 1


def test_what_began_before_the_episode_counts_from_its_beginning():
    made = Told("e")
    made.hear(Trouble.BLACK, -3.0, 1.0, over=False)
    assert made.told == [told("black", 1, 0.0, None)]


def test_a_process_that_ends_loses_its_cameras_until_another_goes_on_and_nothing_else_lasts():
    made = Told("e")
    made.hear(Trouble.FROZEN, 2.0, 3.0, over=False, camera="desk")
    made.lose("e", ["desk", "wrist"], FIRST + 5 * SECOND)
    made.lose("e", ["desk", "wrist"], FIRST + 6 * SECOND)
    assert made.told[1:] == [
        told("frozen", 1, 2.0, 5.0, "desk"),
        told("lost", 1, 5.0, None, "desk"),
        told("lost", 1, 5.0, None),
    ]
    made.hear(Trouble.LOST, 4.9, 5.2, over=True)
    assert made.told[-1] == told("lost", 1, 4.9, 5.2)


def test_a_film_that_ends_late_tells_of_its_own_episode():
    made = Told("e", "f")
    made.hear(Trouble.LOST, 1.0, 9.0, over=True)
    assert made.told == [told("lost", 1, 1.0, 9.0)]
    made.begin(start("g"))
    made.hear(Trouble.LOST, 1.0, 9.0, over=True)
    assert len(made.told) == 1, "only the last two episodes are remembered"


def test_cameras_are_told_of_from_several_threads():
    made = Told("e")
    names = [f"camera-{number}" for number in range(8)]
    threads = [threading.Thread(target=made.lose, args=("e", [name], FIRST)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.camera for one in made.told if isinstance(one, signalling.CameraTroubled)) == names
