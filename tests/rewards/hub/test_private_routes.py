"""The promise of privacy, route by route: each route is closed to strangers, or said to give nothing of content.

A route that is in neither table fails a test, so that whoever adds one thinks of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.recorder.factory import ROBOT
from tests.rewards.hub.private_house import DESCRIBED, JOB, SET, WALLETS, PrivateHouse, opened

E: Final = "/api/episodes/{episode}"
S: Final = "/api/sets/{ns}/{name}"
H: Final = "/api/datasets/{namespace}/{name}"
R: Final = "/datasets/{namespace}/{name}/resolve/{revision}/{path}"
VALUES: Final = {
    "episode": "e0",
    "ns": "lab",
    "namespace": "lab",
    "n": "1",
    "version": "1",
    "job": JOB,
    "camera": "front",
    "revision": "main",
}


@dataclass(frozen=True)
class Closed:
    """How a route is asked, and who of those who may is given it."""

    path: dict[str, str]
    body: Any = None
    may: tuple[str, ...] = ("ada", "owner", "lab", "student")
    query: str = ""


_EPISODE = Closed({})
_SET = Closed({"name": "kitchen"}, may=("lab", "student"))
_FILM = Closed({"name": "kitchen", "path": "film.mp4"}, may=("lab", "student"))
CLOSED: Final = {
    ("get", f"{E}/files/{{name}}"): Closed({"name": "episode.h5"}),
    ("head", f"{E}/files/{{name}}"): Closed({"name": "episode.h5"}),
    ("get", f"{E}/files/episode.h5.sealed"): _EPISODE,
    ("head", f"{E}/files/episode.h5.sealed"): _EPISODE,
    ("get", f"{E}/files/score.json"): _EPISODE,
    ("head", f"{E}/files/score.json"): _EPISODE,
    ("get", f"{E}/key"): _EPISODE,
    ("get", f"{E}/uses"): Closed({}, may=("ada", "owner")),
    ("get", f"{E}/replay"): _EPISODE,
    ("get", f"{E}/timeline"): _EPISODE,
    ("get", f"{E}/channels"): _EPISODE,
    ("get", f"{E}/channels/{{name}}"): Closed({"name": "progress"}),
    ("get", f"{E}/cameras/{{camera}}"): _EPISODE,
    ("get", f"{E}/preview"): _EPISODE,
    ("head", f"{E}/preview"): _EPISODE,
    ("get", f"{E}/best"): Closed({}, may=()),  # there is none: the refusal says so to those who may ask
    ("post", "/api/bundles"): Closed({}, {"episodes": ["e1", "e0"]}),
    ("get", f"{S}/versions/{{n}}/document"): _SET,
    ("get", f"{S}/versions/{{n}}/episodes"): _SET,
    ("get", f"{S}/versions/{{n}}/croissant.json"): _SET,
    ("get", f"{S}/versions/{{n}}/episodes.csv"): _SET,
    ("get", f"{S}/readers"): _SET,
    ("put", f"{S}/readers"): Closed({"name": "kitchen"}, {"readers": [WALLETS["student"]]}, may=("lab",)),
    ("post", "/api/sets"): Closed({}, {"name": "new/set", "episodes": ["e0"], **DESCRIBED}, may=()),
    ("post", f"{S}/append"): Closed({"ns": "mallory", "name": "own"}, {"episodes": ["e0"]}, may=()),
    ("post", f"{S}/merge"): Closed({"ns": "mallory", "name": "own"}, {"with": SET}, may=()),
    ("post", f"{S}/withdraw"): Closed({"name": "kitchen"}, {"episodes": ["e0"]}, may=()),
    ("post", f"{S}/describe"): Closed({"name": "kitchen"}, {"title": "mine"}, may=()),
    ("post", f"{E}/withdraw"): Closed({}, {}, may=()),
    ("get", "/api/episodes"): Closed({}, query=f"?dataset={SET}", may=("lab", "student")),
    ("get", "/api/episodes/words"): Closed({}, query=f"?dataset={SET}", may=("lab", "student")),
    ("post", "/api/exports"): Closed({}, {"set": SET, "format": "robomimic"}, may=()),
    ("post", "/api/sets/{namespace}/{name}/versions/{version}/release"): Closed({"name": "kitchen"}, {}, may=()),
    ("get", "/api/jobs/{job}"): _SET,
    ("get", "/api/exports/{job}/archive"): _SET,
    ("head", "/api/exports/{job}/archive"): _SET,
    ("get", f"{H}/refs"): _SET,
    ("get", H): _SET,
    ("get", f"{H}/revision/{{revision}}"): _SET,
    ("get", f"{H}/tree/{{revision}}"): _SET,
    ("get", f"{H}/tree/{{revision}}/{{path}}"): Closed({"name": "kitchen", "path": ""}, may=("lab", "student")),
    ("post", f"{H}/paths-info/{{revision}}"): Closed({"name": "kitchen"}, {"paths": ["film.mp4"]}, may=("lab",)),
    ("get", R): _FILM,
    ("head", R): _FILM,
}
"""Routes that give something of an episode or a data set, or let it be put elsewhere."""
FACTS: Final = {
    ("get", E): "its id, task, robot, operator, length, success, digest, receipt: what pay and the log are audited by",
    ("get", f"{E}/manifest"): "names, counts and hashes, over which the signatures and the log's entry are",
    ("get", f"{E}/score"): "score, acceptance and pay; what it was found by is withheld (a test of its own)",
    ("get", f"{E}/neighbours"): "ids before and after it; nothing by motion (a test of its own)",
    ("get", f"{E}/arrival"): "how many bytes have come",
    ("get", "/api/sets"): "title, licence, counts",
    ("get", S): "the same; no card (a test of its own)",
    ("get", f"{S}/versions"): "the same",
    ("get", f"{S}/versions/{{n}}"): "the same",
    ("get", "/api/operators/{address}/unsigned"): "ids that wait for a signature",
    ("get", "/api/log/proof/{index}"): "hashes",
    ("get", "/api/log/consistency/{old}"): "hashes",
    ("get", "/api/log/checkpoint"): "a hash",
    ("get", "/api/balances/{address}"): "amounts, with ids",
    ("get", "/api/roots"): "amounts",
    ("get", "/api/roots/{root}"): "amounts",
    ("get", f"{E}/reviews"): "who judged it, when, and whether it passed: what pay is audited by",
    ("get", "/api/robots"): "that it is private",
    ("get", "/api/robots/{robot}"): "that it is private",
    ("get", "/api/robots/{robot}/privacy"): "that it is private, and who reads it",
}
"""Routes that say something of a private episode to anybody, and what."""
APART: Final = {
    ("get", "/api/config"),
    ("get", "/api/counts"),
    ("get", "/api/protocol"),
    ("get", "/api/release.pub"),
    ("get", "/api/operators/{address}"),
    ("get", "/api/operators/{address}/withdrawn"),
    ("get", "/api/rescore"),
    ("post", "/api/rescore"),
    ("post", "/api/settle"),
    ("post", "/api/claim"),
    ("post", "/api/auth/challenge"),
    ("post", "/api/auth/verify"),
    ("post", "/api/auth/sign-out"),
    ("post", "/api/robots"),
    ("post", "/api/robots/challenge"),
    ("delete", "/api/robots/{robot}"),
    ("put", "/api/robots/{robot}/privacy"),
    ("get", "/api/reviews"),
    ("get", "/api/reviews/next"),
    ("post", "/api/reviews/{episode}"),
    ("post", "/api/reviews/{episode}/refuse"),
    ("options", "/api/uploads"),
    ("post", "/api/uploads"),
    ("head", "/api/uploads/{upload}"),
    ("patch", "/api/uploads/{upload}"),
    ("post", f"{E}/seal"),
    ("post", f"{E}/signature"),
    ("post", f"{E}/another-look"),
    ("post", f"{E}/discard"),
    ("options", "/api/datasets/{path}"),
    ("options", "/datasets/{path}"),
}
"""Routes that answer nothing of an episode but to its own operator or host, or a reviewer who may read it."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHouse]:
    with opened(tmp_path_factory.mktemp("private")) as made:
        yield made


def address(route: str, said: Closed) -> str:
    return route.format(**(VALUES | said.path)) + said.query


def test_every_route_is_thought_of(house: PrivateHouse) -> None:
    paths = house.client.get("/openapi.json").json()["paths"]
    there = {(method, path) for path, methods in paths.items() for method in methods}
    tables = [set(CLOSED), set(FACTS), APART]
    assert there == set().union(*tables)
    assert sum(map(len, tables)) == len(there)


@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_a_stranger_gets_a_sentence_and_whoever_may_gets_an_answer(house: PrivateHouse, route: tuple[str, str]) -> None:
    method, said = route[0], CLOSED[route]
    where = address(route[1], said)
    for who in ("mallory", ""):
        answer = house.ask(method, where, who, said.body)
        expected = (403, 404) if who else (401, 403, 404)
        assert answer.status_code in expected, (who, answer.text)
        if method != "head":
            assert len(answer.json()["error"]["message"].split()) > 5
    for who in said.may:
        answer = house.ask(method, where, who, said.body)
        assert answer.status_code == 200, (who, answer.text)
        if route[0] == "get" and "words" not in where and where.startswith("/api/episodes/e0"):
            assert who == "" or "public" not in answer.headers.get("Cache-Control", "")


def test_facts_that_pay_and_the_log_rest_on_are_public_and_no_more(house: PrivateHouse) -> None:
    stranger = house.ask("GET", "/api/episodes/e0/score").json()
    reader = house.ask("GET", "/api/episodes/e0/score", "student").json()
    same = ("score_ppm", "accepted", "pay", "price", "version")
    assert [stranger[one] for one in same] == [reader[one] for one in same]
    assert (stranger["withheld"], stranger["vector"], stranger["reasons"], stranger["shown"]) == (True, {}, [], {})
    assert (reader["withheld"], reader["vector"]) == (False, {"pace": 0.5})
    public = house.ask("GET", "/api/episodes/e1/score").json()
    assert (public["withheld"], public["vector"]) == (False, {"pace": 0.5})
    assert house.ask("GET", "/api/episodes/e0").json()["private"] is True


def test_no_search_by_what_the_score_was_found_by_finds_it(house: PrivateHouse) -> None:
    def found(query: str) -> set[str]:
        return {one["episode"] for one in house.ask("GET", f"/api/episodes{query}").json()["episodes"]}

    assert found("") == {"e0", "e1"}
    assert found("?pace_min=0.4") == {"e1"}


def test_motion_brings_nobody_to_it_or_from_it(house: PrivateHouse) -> None:
    for episode in ("e0", "e1"):
        assert house.ask("GET", f"/api/episodes/{episode}/neighbours").json()["motion"] == []


def test_no_list_says_which_private_data_sets_have_an_episode(house: PrivateHouse) -> None:
    def having(episode: str) -> set[str]:
        return {one["name"] for one in house.ask("GET", f"/api/sets?episode={episode}").json()["sets"]}

    assert SET not in having("e0") | having("e1")
    assert "mallory/own" in having("e1")
    assert SET in {one["name"] for one in house.ask("GET", "/api/sets").json()["sets"]}


def test_a_search_brings_nothing_private_into_a_data_set(house: PrivateHouse) -> None:
    asked = {"name": "lab/found", "search": {"task": "lift"}, **DESCRIBED}
    made = house.ask("POST", "/api/sets", "lab", asked).json()
    assert (made["episodes"], made["private"]) == (1, False)
    assert house.code("POST", "/api/sets/lab/found/append", "lab", {"search": {"dataset": SET}}) == (
        409,
        "nothing_new",
    )


def test_a_reader_of_a_data_set_passes_nothing_on(house: PrivateHouse) -> None:
    made = house.ask("POST", "/api/sets", "student", {"name": "student/own", "episodes": ["e0"], **DESCRIBED})
    assert made.json()["private"] is True
    readers = "/api/sets/student/own/readers"
    assert house.code("PUT", readers, "student", {"readers": [WALLETS["mallory"]]}) == (403, "private_episodes")
    assert house.code("PUT", f"/api/sets/{SET}/readers", "student", {"readers": []}) == (403, "not_the_namespace")


def test_a_stranger_puts_it_into_no_data_set(house: PrivateHouse) -> None:
    own = "/api/sets/mallory/own"
    assert house.code("POST", f"{own}/append", "mallory", {"episodes": ["e0"]}) == (403, "private_episodes")
    assert house.code("POST", f"{own}/merge", "mallory", {"with": SET}) == (403, "private_dataset")
    asked = {"name": "mallory/two", "search": {"dataset": SET}, **DESCRIBED}
    assert house.code("POST", "/api/sets", "mallory", asked) == (403, "private_dataset")


def test_the_card_of_a_private_version_is_for_its_readers(house: PrivateHouse) -> None:
    while (said := house.ask("GET", f"/api/sets/{SET}", "lab").json())["card"] is None:
        pass
    assert said["card"]["episodes"] == 2
    assert house.ask("GET", f"/api/sets/{SET}", "student").json()["card"]
    for who in ("mallory", ""):
        seen = house.ask("GET", f"/api/sets/{SET}", who).json()
        assert (seen["card"], seen["private"], seen["episodes"]) == (None, True, 2)


def test_who_was_given_what_is_told_to_the_operator(house: PrivateHouse) -> None:
    for who in ("student", "lab"):
        assert house.ask("GET", f"/api/exports/{JOB}/archive", who).status_code == 200
        assert house.ask("GET", f"/datasets/{SET}/resolve/main/film.mp4", who).status_code == 200
    told = house.ask("GET", "/api/episodes/e0/uses", "ada").json()
    exports = {(one["wallet"], one["purpose"]) for one in told["uses"] if one["what"] == "export"}
    assert exports == {(WALLETS["student"], f"{SET}@1"), (WALLETS["lab"], f"{SET}@1")}
    reads = {one["wallet"]: (one["because"], one["dataset"]) for one in told["readers"]}
    assert reads == {
        WALLETS["ada"]: ("operator", None),
        WALLETS["owner"]: ("owner", None),
        WALLETS["lab"]: ("reader", None),
        WALLETS["student"]: ("dataset", SET),
    }
    assert house.ask("GET", "/api/episodes/e1/uses", "ada").json()["uses"] == []


def test_a_right_that_ends_ends_what_rests_on_it(house: PrivateHouse) -> None:
    """A reader of the lab's set reads for as long as the lab may: the last test of this house."""
    key, film = "/api/episodes/e0/key", f"/datasets/{SET}/resolve/main/film.mp4"
    assert house.ask("GET", key, "student").status_code == 200
    robot = f"/api/robots/{ROBOT.address}/privacy"
    assert house.code("PUT", robot, "mallory", {"private": False}) == (403, "not_owner")
    assert house.ask("PUT", robot, "owner", {"private": False, "readers": []}).status_code == 200

    for who in ("student", "lab"):
        assert house.code("GET", key, who) == (403, "not_reader")
        assert house.code("GET", film, who) == (404, "unknown_dataset")
        assert house.code("GET", f"/api/exports/{JOB}/archive", who) == (403, "private_dataset")
    assert house.ask("GET", key, "ada").status_code == 200
    assert house.ask("GET", "/api/episodes/e0").json()["private"] is True  # what was private stays so
