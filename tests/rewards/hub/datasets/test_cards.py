"""Promises of cards: made by themselves from the files and scores, kept by digest, and the same whoever makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from recorder.file.episode import read_episode
from recorder.hub.store import FolderStore
from recorder.hub.store.folder import FileInFolder
from rewards.datasets.card import CARD, Judged, Tally, encoded
from rewards.datasets.comparing import differences
from rewards.datasets.facts import facts_in
from rewards.datasets.version import FORMAT, Change, ChangeKind, DatasetVersion, Member, Shares, Split
from rewards.hub.datasets.cards import Cards
from rewards.hub.datasets.changes import Chosen
from rewards.hub.datasets.texts import described
from rewards.tables import CardRow
from tests.recorder import bundles
from tests.recorder.filming import seen
from tests.rewards.drives import recorded
from tests.rewards.hub.datasets.shop import Shop, opened
from tests.rewards.world import ADA

COUNT = 3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three recordings that began and moved differently."""
    folder = tmp_path_factory.mktemp("recorded")
    return [recorded(folder, episode=f"e{at:05}", seed=at) for at in range(COUNT)]


@pytest.fixture
def shop(tmp_path: Path, files: list[Path]) -> Iterator[Shop]:
    made = opened(tmp_path)
    made.stock(COUNT)
    for at, file in enumerate(files):
        folder = tmp_path / "episodes" / f"e{at:05}"
        folder.mkdir(parents=True)
        (folder / "episode.h5").write_bytes(file.read_bytes())
    made.changes.create(ADA, "lab/lift", described("Lifts", "", "CC-BY-4.0"), everything(), Shares())
    yield made
    made.database.kw["bind"].dispose()


def everything() -> Chosen:
    return Chosen(tuple(f"e{at:05}" for at in range(COUNT)))


def cards(shop: Shop, tmp_path: Path, executor: Executor | None = None) -> Cards:
    return Cards(shop.database, FolderStore(tmp_path / "episodes"), executor, shop.clock)


def kept(shop: Shop) -> list[bytes]:
    with shop.database() as db:
        return list(db.scalars(select(CardRow.card)))


class Spy(Executor):
    """Runs calls at once; the first `breaks` of them lose the worker instead."""

    def __init__(self, breaks: int = 0) -> None:
        self.calls: list[str] = []
        self.breaks = breaks

    def submit(self, call: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        if isinstance(arguments[0], FileInFolder):
            self.calls.append(str(arguments[0]))
        if len(self.calls) <= self.breaks:
            done.set_exception(BrokenExecutor("the worker died"))
        else:
            done.set_result(call(*arguments, **named))
        return done


@pytest.mark.anyio
async def test_a_card_says_what_the_files_and_the_scores_say(shop, tmp_path, files):
    await cards(shop, tmp_path).work()
    (data,) = kept(shop)
    card = CARD.decode(data)
    episodes = [read_episode(file) for file in files]
    assert encoded(card) == data
    assert (card.name, card.version, card.episodes, card.unread) == ("lab/lift", 1, COUNT, [])
    assert card.steps == sum(one.steps for one in episodes)
    assert (card.success, card.success_rate) == ({"true": COUNT}, 1.0)
    assert [(one.rules, one.episodes, one.mean, one.counts[16]) for one in card.scores] == [("3", COUNT, 0.8, COUNT)]
    assert (card.trust, card.practice, card.unscored) == ({"replayed": COUNT}, 0, 0)
    array = next(one for one in card.arrays if one.name == "observation/joint_position")
    rows = np.concatenate([one.observations["joint_position"] for one in episodes])
    assert array.numbers.count == len(rows)
    assert np.allclose(array.numbers.mean, rows.mean(axis=0))
    assert np.allclose(array.numbers.std, rows.std(axis=0))
    assert np.allclose(array.numbers.min, rows.min(axis=0))
    assert np.allclose(array.numbers.max, rows.max(axis=0))
    assert len(card.starts[0].points_m) == COUNT
    with shop.served() as client:
        assert client.get("/api/sets/lab/lift").json()["card"]["digest"] == card.digest


@pytest.mark.anyio
async def test_each_file_is_read_once_for_all_versions_and_a_restart_goes_on(shop, tmp_path):
    broken = Spy(breaks=1)
    await cards(shop, tmp_path, broken).work()
    assert (len(broken.calls), kept(shop)) == (1, [])
    spy = Spy()
    await cards(shop, tmp_path, spy).work()
    assert len(spy.calls) == COUNT
    shop.changes.withdraw(ADA, "lab/lift", ["e00001"], "")
    await cards(shop, tmp_path, spy).work()
    assert len(spy.calls) == COUNT
    assert sorted(CARD.decode(data).episodes for data in kept(shop)) == [COUNT - 1, COUNT]


@pytest.mark.anyio
async def test_a_file_that_cannot_be_read_is_named_and_the_others_are_counted(shop, tmp_path):
    (tmp_path / "episodes" / "e00001" / "episode.h5").write_bytes(b"no episode")
    await cards(shop, tmp_path).work()
    card = CARD.decode(kept(shop)[0])
    assert (card.unread, card.episodes, card.success) == (["e00001"], COUNT, {"true": COUNT - 1})


@pytest.mark.anyio
async def test_a_file_that_ends_every_worker_does_not_keep_others_from_their_cards(shop, tmp_path):
    class Poisoned(Spy):
        def submit(self, call: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            done: Future[Any] = Future()
            if "e00001" in str(arguments[0]):
                done.set_exception(BrokenExecutor("the worker died"))
                return done
            return super().submit(call, *arguments, **named)

    made = cards(shop, tmp_path, Poisoned())
    for _ in range(4):
        await made.work()
    assert CARD.decode(kept(shop)[0]).unread == ["e00001"]


def test_a_card_that_contradicts_its_episodes_is_found_and_where(files):
    tally = Tally(head(), "0" * 64)
    for file in files:
        facts = facts_in(file)
        tally.add(member(facts.episode), facts, Judged("3", 800_000, "replayed", False))
    card = tally.card()
    assert differences(card, card) == []
    lied = dataclasses.replace(card, success={"true": 30}, operators=dataclasses.replace(card.operators, others=7))
    assert differences(lied, card) == [
        "operators.others: the card says 7, and the episodes say 0",
        "success.true: the card says 30, and the episodes say 3",
    ]
    array = dataclasses.replace(card.arrays[0].numbers, mean=[9.0, *card.arrays[0].numbers.mean[1:]])
    lied = dataclasses.replace(card, arrays=[dataclasses.replace(card.arrays[0], numbers=array), *card.arrays[1:]])
    assert ["arrays[0].numbers.mean[0]" in one for one in differences(lied, card)] == [True]


def head() -> DatasetVersion:
    change = Change(ChangeKind.CREATED, "")
    said = {"title": "t", "description": "", "licence": "MIT", "owner": ADA, "made_ms": 1}
    return DatasetVersion(FORMAT, "lab/lift", 1, "", **said, change=change, episodes=())


def member(episode: str) -> Member:
    return Member(episode, "0x" + "0" * 64, "0" * 64, 10, Split.TRAIN)


def test_what_real_cameras_recorded_has_statistics(tmp_path):
    start, steps, end = seen()
    facts = facts_in(bundles.record(tmp_path, (start, steps, end)))
    tally = Tally(head(), "0" * 64)
    tally.add(member(facts.episode), facts, Judged("3", 0, "witnessed", None))
    card = tally.card()
    assert [(one.name, one.width, one.height, one.episodes) for one in card.cameras] == [
        (one.name, one.width, one.height, 1) for one in sorted(start.cameras, key=lambda one: one.name)
    ]
    for one in card.cameras:
        assert one.pictures > 0
        assert one.numbers is not None
        assert len(one.numbers.mean) == 3
        assert all(0.0 <= value <= 1.0 for value in (*one.numbers.min, *one.numbers.mean, *one.numbers.max))
    assert [one.name for one in card.drivers.first] == ["policy reaching"]
