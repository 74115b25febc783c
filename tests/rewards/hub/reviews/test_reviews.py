"""Promises of review: strangers decide, whoever was right is paid, exactly and once, and anyone can check the votes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DatabaseError

from recorder.hub.tables import EpisodeRow
from rewards.hub.reviews.asking import NotAReviewerError, NotAskedError, RefusedTooOftenError
from rewards.hub.reviews.store import Reviews, UnknownReviewError
from rewards.hub.reviews.voting import EPISODE_REVIEW, Answer, ReviewClockError, TooSoonError, UnseenError
from rewards.ledger import ledger
from rewards.people.reviews import RULES
from rewards.tables import OwedRow, ReviewRow, ScoreRow
from teleop.hub.tables import RobotReaderRow
from teleop.identity import SignatureError
from tests.recorder.factory import DOMAIN, fixed_key
from tests.rewards.hub.reviews.town import LENGTH_MS, PRICE_WEI, SHARES, WORTH_PPM, Town

BOTH = pytest.mark.usefixtures("either_database")
"""On PostgreSQL, too."""
AUTHOR, OWNER = fixed_key("author"), fixed_key("owner")
PAY_WEI = PRICE_WEI * WORTH_PPM // 1_000_000
FEE_WEI = PRICE_WEI * SHARES.reviewer_ppm // 1_000_000


@pytest.fixture
def reviews(town: Town) -> Reviews:
    return town.reviews()


@pytest.fixture
def real(town: Town) -> str:
    return town.robot("real", OWNER)


@BOTH
def test_an_episode_that_one_stranger_passes_pays_operator_owner_and_reviewer_exactly(town, reviews, real):
    rita = town.person("rita")
    before = town.earned(rita)
    episode = town.filmed(AUTHOR, real)
    assert town.state(episode) == "open"
    assert (town.earned(AUTHOR), town.earned(OWNER)) == (0, 0), "the operator's word alone pays nobody"
    assert town.judges(reviews, rita, episode, True)
    assert town.state(episode) == "passed"
    assert town.earned(AUTHOR) == PAY_WEI
    assert town.earned(OWNER) == PAY_WEI * SHARES.owner_ppm // 1_000_000
    assert town.earned(rita) == before + sum(one.amount_wei for one in owed(town, rita.address))
    assert [one.amount_wei for one in owed(town, rita.address) if one.episode == episode] == [FEE_WEI]


def owed(town: Town, address: str) -> list[OwedRow]:
    with town.world.database() as db:
        return list(db.scalars(select(OwedRow).where(OwedRow.address == address)))


def test_a_failed_episode_pays_whoever_judged_it_and_nobody_else(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real, said=False)
    town.judges(reviews, rita, episode, False)
    assert town.state(episode) == "failed"
    assert (town.earned(AUTHOR), town.earned(OWNER)) == (0, 0)
    assert [one.amount_wei for one in owed(town, rita.address) if one.episode == episode] == [FEE_WEI]


@BOTH
def test_where_they_disagree_more_are_asked_and_who_was_overruled_is_not_paid(town, reviews, real):
    people = [town.person(name) for name in ("rita", "sam", "tom", "uma")]
    episode = town.filmed(AUTHOR, real)
    for who, passed in zip(people[:3], (False, True, False), strict=True):
        assert town.judges(reviews, who, episode, passed)
        assert town.state(episode) == "open"
    assert town.judges(reviews, people[3], episode, False)
    assert town.state(episode) == "failed"
    paid = {one.address for who in people for one in owed(town, who.address) if one.episode == episode}
    assert paid == {people[0].address, people[2].address, people[3].address}
    assert town.earned(AUTHOR) == 0


def test_no_more_people_are_asked_at_once_than_could_decide_it(town, reviews, real):
    people = [town.person(name) for name in ("rita", "sam")]
    town.filmed(AUTHOR, real)
    asked = [real_task(town, reviews, who) for who in people]
    assert asked[0] is not None
    assert asked[1] is None


def test_a_private_episode_is_judged_by_those_who_may_read_it_and_by_nobody_else(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real)
    with town.world.database() as db, db.begin():
        db.execute(update(EpisodeRow).where(EpisodeRow.episode == episode).values(private=True))
    assert real_task(town, reviews, rita) is None
    with town.world.database() as db, db.begin():
        db.add(RobotReaderRow(robot=real, wallet=rita.address, added_ms=1))
    assert real_task(town, reviews, rita) == episode


def real_task(town: Town, reviews: Reviews, who) -> str | None:
    """Return which real robot's episode somebody is asked about, after the known answers that come before."""
    while (task := reviews.next(who.address).task) is not None:
        if task.episode not in town.truths:
            return task.episode
        town.says(reviews, who, task.episode, town.truths[task.episode])
    return None


def test_what_somebody_keeps_too_long_is_given_to_another_and_is_not_theirs_any_more(town, reviews, real):
    rita, sam = (town.person(name) for name in ("rita", "sam"))
    episode = town.filmed(AUTHOR, real)
    assert real_task(town, reviews, rita) == episode
    town.now_ms += RULES.lease_ms
    with pytest.raises(NotAskedError, match="run out"):
        town.says(reviews, rita, episode, True)
    assert real_task(town, reviews, rita) is None, "and it does not come back"
    assert town.judges(reviews, sam, episode, True)


def test_the_same_task_is_given_until_it_is_answered_and_never_again(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real)
    assert real_task(town, reviews, rita) == episode == reviews.next(rita.address).task.episode
    town.says(reviews, rita, episode, True)
    with pytest.raises(NotAskedError, match="answered"):
        town.says(reviews, rita, episode, True)
    assert town.earned(AUTHOR) == PAY_WEI


@BOTH
def test_refusing_costs_nothing_and_it_does_not_come_back_but_nobody_chooses_by_refusing(town, reviews, real):
    rita = town.person("rita")
    for index in range(RULES.refusals_a_day):
        town.filmed(AUTHOR, real)
        episode = real_task(town, reviews, rita)
        left = reviews.refuse(rita.address, episode)
        assert left == RULES.refusals_a_day - index - 1
    town.filmed(AUTHOR, real)
    with pytest.raises(RefusedTooOftenError):
        reviews.next(rita.address)
    assert reviews.standing(rita.address).may, "it costs no right"
    town.now_ms += 24 * 3_600_000
    assert real_task(town, reviews, rita) is not None


def test_nobody_judges_what_they_were_not_asked_about(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real)
    with pytest.raises(NotAskedError, match="nobody chooses"):
        town.says(reviews, rita, episode, True)


def test_who_has_driven_too_little_is_told_how_much_is_missing(town, reviews, real):
    simulated = next(one.address for one in town.robots if one.simulated)
    new = town.driver("new", simulated, accepted=1)
    town.filmed(AUTHOR, real)
    with pytest.raises(NotAReviewerError, match="2 more"):
        reviews.next(new.address)
    told = reviews.standing(new.address)
    assert (told.may, told.accepted, told.accepted_least) == (False, 1, RULES.episodes_least)
    assert town.reviews(qualification=True).standing(new.address).why_not.startswith("expected a wallet")


def test_all_that_a_new_reviewer_sees_has_a_known_answer_and_pays_nothing(town, reviews, real):
    simulated = next(one.address for one in town.robots if one.simulated)
    new = town.driver("new", simulated)
    town.filmed(AUTHOR, real)
    task = reviews.next(new.address).task
    assert task.episode in town.truths
    assert task.pay == "0"
    town.trusted(reviews, new)
    assert town.earned(new) == 0
    assert int(reviews.next(new.address).task.pay) == FEE_WEI


def test_an_answer_that_came_too_soon_or_was_not_looked_at_or_is_of_another_time_is_not_taken(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real)
    assert real_task(town, reviews, rita) == episode
    town.now_ms -= LENGTH_MS
    with pytest.raises(TooSoonError):
        town.says(reviews, rita, episode, True)
    with pytest.raises(UnseenError):
        town.says(reviews, rita, episode, True, looks=False)
    with pytest.raises(ReviewClockError):
        town.says(reviews, rita, episode, True, reviewed_ms=1)
    with pytest.raises(SignatureError):
        town.says(reviews, rita, episode, True, reason="other words than were signed")
    assert town.state(episode) == "open"
    town.says(reviews, rita, episode, True)
    assert town.state(episode) == "passed"


def test_nobody_reads_the_others_votes_before_they_vote_and_anyone_checks_them_after(town, reviews, real):
    rita, sam = (town.person(name) for name in ("rita", "sam"))
    episode = town.filmed(AUTHOR, real, second=True)
    town.judges(reviews, rita, episode, True)
    hidden = reviews.reviews(episode)
    assert (hidden.state, hidden.votes, hidden.wants, hidden.said, hidden.reviews) == ("open", 1, 1, None, [])
    town.judges(reviews, sam, episode, True)
    shown = reviews.reviews(episode)
    assert (shown.state, shown.said, shown.wants) == ("passed", True, 0)
    for vote in shown.reviews:
        said = Answer(vote.reviewer, episode, vote.passed, vote.reason, vote.seen, vote.reviewed_ms, vote.signature)
        EPISODE_REVIEW.require(vote.reviewer, DOMAIN, said.statement(shown.digest), vote.signature)
        lie = replace(said, passed=not said.passed)
        with pytest.raises(SignatureError):
            EPISODE_REVIEW.require(vote.reviewer, DOMAIN, lie.statement(shown.digest), vote.signature)
    with pytest.raises(UnknownReviewError):
        reviews.reviews(next(iter(town.truths)))


def test_what_cannot_be_paid_anyway_is_shown_to_nobody(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real, fine=False)
    assert town.state(episode) == "refused"
    assert real_task(town, reviews, rita) is None


def test_a_pool_that_is_empty_lets_all_three_wait_and_pays_each_once(town, reviews, real):
    rita = town.person("rita")
    with town.world.database() as db:
        left = ledger.balance(db, ledger.pool("lift"))
    gone = ledger.transfer("gone", "elsewhere", ledger.pool("lift"), ledger.pool("x"), left, 1)
    ledger.write(town.world.database, lambda db: ledger.post(db, gone))
    episode = town.filmed(AUTHOR, real)
    town.judges(reviews, rita, episode, True)
    assert town.state(episode) == "passed"
    assert (town.earned(AUTHOR), town.earned(OWNER)) == (0, 0)
    pipeline = town.world.pipeline()
    pipeline.fund("lift", 10 * PRICE_WEI, "more")
    assert town.earned(AUTHOR) == PAY_WEI
    assert town.earned(OWNER) == PAY_WEI // 10
    pipeline.fund("lift", PRICE_WEI, "again")
    assert pipeline.pay_waiting() == 0
    assert town.earned(AUTHOR) == PAY_WEI


def test_what_was_passed_is_settled_and_claimed_as_any_pay_and_each_line_says_what_for(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real)
    town.judges(reviews, rita, episode, True)

    async def claimed() -> list[int]:
        async with town.world.pipeline() as running:
            await running.settle()
            return [(await running.claim(who.address)).amount_wei for who in (AUTHOR, OWNER, rita)]

    assert asyncio.run(claimed()) == [town.earned(who) for who in (AUTHOR, OWNER, rita)]
    with town.world.database() as db:
        kinds = [ledger.entries(db, ledger.operator(who.address))[0].kind for who in (AUTHOR, OWNER, rita)]
    assert kinds == ["reviewed", "owner", "review"]


def test_who_drives_their_own_robot_is_not_paid_as_its_owner_too(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(OWNER, real)
    town.judges(reviews, rita, episode, True)
    assert town.earned(OWNER) == PAY_WEI


def test_the_score_that_people_gave_stands_beside_the_others_and_is_found(town, reviews, real):
    rita = town.person("rita")
    episode = town.filmed(AUTHOR, real)
    town.judges(reviews, rita, episode, True)
    with town.world.database() as db:
        row = db.get_one(ScoreRow, (episode, "review-1"))
        assert (row.accepted, row.score_ppm, row.owed_wei) == (True, WORTH_PPM, PAY_WEI)


def test_votes_and_what_is_owed_only_ever_grow(town, reviews, real):
    rita = town.person("rita")
    town.judges(reviews, rita, town.filmed(AUTHOR, real), True)
    for table in (ReviewRow, OwedRow):
        with town.world.database() as db, pytest.raises(DatabaseError):
            db.query(table).delete()
