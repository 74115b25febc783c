"""A host is a stranger: what it says of its robot has a shape and bounds, or it is refused by name and kept nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from sim.catalogue import make_world, pairs
from teleop.cameras.spec import cameras_of
from teleop.identity import new_key
from teleop.wire import signalling
from teleop.wire.descriptor import DESCRIPTOR_BYTES_MAX, describe, require_descriptor
from teleop.wire.messages import JSON_BYTES_MAX
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import Bench, descriptor
from tests.teleop.hub.routes import Routes
from tests.teleop.registering import body_for


def deep(levels: int) -> Any:
    """A list in a list in a list."""
    made: Any = []
    for _ in range(levels):
        made = [made]
    return made


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a descriptor, the first of each list only."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def with_at(path: tuple[Any, ...], value: Any) -> Any:
    """The bench's descriptor with another value at that place."""
    if not path:
        return value
    changed = descriptor()
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


PLACES = sorted(places(descriptor()), key=str)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=600),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=70), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(("robot", "task"), pairs(), ids="-".join)
def test_every_robot_of_ours_is_described_within_the_bounds(robot, task):
    spec = make_world(robot, task).spec
    said = {**describe("x" * 64, spec), "cameras": [camera.describe() for camera in cameras_of(spec)]}
    assert require_descriptor(said) is said
    assert require_descriptor(json.loads(json.dumps(said)))


@pytest.mark.parametrize("path", PLACES, ids=str)
def test_a_list_900_deep_is_refused_wherever_it_stands(path):
    with pytest.raises(SignallingError, match="descriptor") as refused:
        require_descriptor(with_at(path, deep(900)))
    assert refused.value.code == "malformed"
    if path and isinstance(path[0], str):
        assert path[0] in str(refused.value), "it is said where"


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(PLACES), junk=JUNK)
def test_whatever_stands_anywhere_is_refused_or_can_be_served(path, junk):
    said = with_at(path, junk)
    try:
        require_descriptor(said)
    except SignallingError:
        return
    text_of = json.dumps(said, allow_nan=False).encode()
    assert len(msgspec.json.encode(said)) <= DESCRIPTOR_BYTES_MAX
    assert json.loads(text_of) == said


def longer(name: str, entry: Callable[[int], Any], count: int) -> Any:
    changed = descriptor()
    changed[name] = [entry(number) for number in range(count)]
    return changed


def task(number: int) -> dict[str, Any]:
    return {**descriptor()["tasks"][0], "name": f"task-{number}"}


def body(number: int) -> dict[str, Any]:
    return {**descriptor()["scene"]["bodies"][0], "name": f"body-{number}"}


def edited(edit: Callable[[dict[str, Any]], Any]) -> Any:
    changed = descriptor()
    edit(changed)
    return changed


BAD: dict[str, tuple[Any, str]] = {
    "a field of its own": (edited(lambda d: d.update(more=1)), "unknown field `more`"),
    "a field of its own, inside": (edited(lambda d: d["scene"]["light"].update(glow=1)), r"glow.*\$\.scene\.light"),
    "nothing": ({}, "missing required field"),
    "no tasks": (edited(lambda d: d.pop("tasks")), "tasks"),
    "33 tasks": (longer("tasks", task, 33), r"\$\.tasks"),
    "two tasks of one name": (longer("tasks", lambda _: task(0), 2), "different names in `tasks`"),
    "65 bodies": (edited(lambda d: d["scene"].update(bodies=[body(n) for n in range(65)])), r"\$\.scene\.bodies"),
    "17 cameras": (longer("cameras", lambda n: {**descriptor()["cameras"][0], "name": f"c{n}"}, 17), r"\$\.cameras"),
    "an unknown codec": (edited(lambda d: d["cameras"][0].update(codecs=["gif"])), r"\$\.cameras\[0\]\.codecs"),
    "65 joints": (edited(lambda d: d.update(joint_names=[f"j{n}" for n in range(65)])), r"\$\.joint_names"),
    "more joints than limits": (edited(lambda d: d["joint_names"].append("j8")), "`joint_lower_rad`, one a joint"),
    "fewer homes than joints": (edited(lambda d: d["home_rad"].pop()), "`home_rad`, one a joint"),
    "a name of 65": (edited(lambda d: d.update(name="x" * 65)), r"\$\.name"),
    "a name of two lines": (edited(lambda d: d.update(name="a\nb")), r"\$\.name"),
    "a limit beyond all": (edited(lambda d: d["joint_upper_rad"].__setitem__(0, 1e7)), r"\$\.joint_upper_rad\[0\]"),
    "no rate": (edited(lambda d: d.update(control_hz=0)), r"\$\.control_hz"),
    "a colour beyond 1": (edited(lambda d: d["scene"]["floor_rgba"].__setitem__(0, 1.5)), r"floor_rgba"),
    "another site's model": (edited(lambda d: d.update(urdf="https://example.com/a.urdf")), r"\$\.urdf"),
    "another host's model": (edited(lambda d: d.update(urdf="//example.com/assets/models/a.urdf")), r"\$\.urdf"),
    "a file beside the models": (edited(lambda d: d.update(urdf="/assets/models/../../api/config")), r"\$\.urdf"),
    "more than a state holds": (
        edited(lambda d: d["observation"][0].update(shape=[1024])),
        "at most 1024 values in `observation`",
    ),
    "an instruction of 501": (edited(lambda d: d["tasks"][0].update(instruction="x" * 501)), "instruction"),
    "too many bytes": (
        edited(lambda d: d.update(engine={f"{n}": "x" * 500 for n in range(64)})),
        "at most 32768 bytes",
    ),
    "an unknown shape": (
        edited(lambda d: d["scene"]["bodies"][0]["parts"][0].update(shape={"kind": "torus"})),
        "torus",
    ),
}


@pytest.mark.parametrize(("said", "names"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused_by_name(said, names):
    with pytest.raises(SignallingError, match=names) as refused:
        require_descriptor(said)
    assert refused.value.code == "malformed"


def test_at_the_bounds_it_fits_and_a_grant_of_it_fits_one_frame():
    big = longer("tasks", lambda n: {**task(n), "paraphrases": ["x" * 500] * (25 if n == 0 else 0)}, 30)
    spare = DESCRIPTOR_BYTES_MAX - len(msgspec.json.encode(big))
    big["engine"] = {f"{n:03}": "x" * 450 for n in range(spare // 500)}
    require_descriptor(big)
    granted = signalling.encode(signalling.Granted("0" * 32, 2**32 - 1, big, big["tasks"][0]))
    assert len(granted) <= JSON_BYTES_MAX
    assert 2 * DESCRIPTOR_BYTES_MAX <= JSON_BYTES_MAX


@pytest.mark.anyio
async def test_a_host_with_a_descriptor_that_does_not_fit_is_turned_away_and_nothing_of_it_is_kept():
    bench = Bench()
    for said in (edited(lambda d: d["engine"].update(deep=deep(900))), {}, edited(lambda d: d.update(tasks=[{}]))):
        with pytest.raises(SignallingError, match="descriptor"):
            await bench.host(descriptor=said)
    assert (bench.hub.docks, bench.database.asked) == ({}, [])
    assert bench.store.robots[bench.robot].descriptor is None


@pytest.mark.anyio
async def test_what_is_kept_has_the_name_that_the_owner_registered():
    bench = Bench()
    dock, _ = await bench.host(descriptor={**descriptor(), "name": "somebody else's"})
    assert dock.descriptor["name"] == bench.store.robots[bench.robot].descriptor["name"] == "robot-1"


# --- the list of robots, over HTTP


@pytest.mark.anyio
@pytest.mark.parametrize("online", [False, True])
async def test_one_robot_that_cannot_be_described_does_not_take_the_list_down(tmp_path, online):
    house = Routes(tmp_path)
    bad, good = house.register(), house.register()
    await house.dock(good)
    if online:
        await house.dock(bad)
    stored = json.dumps({**descriptor(), "tasks": [{"name": "lift", "stages": deep(900)}]})
    with house.database() as db, db.begin():
        db.execute(text("UPDATE robots SET descriptor = :d WHERE address = :a"), {"d": stored, "a": bad.address})
    listed = await house.http.get("/api/robots")
    assert listed.status_code == 200
    cards = {card["robot"]: card for card in listed.json()}
    assert (cards[bad.address]["tasks"], cards[bad.address]["online"]) == ([], online)
    assert cards[good.address]["tasks"][0]["price"] == str(10**18)
    for key in (bad, good):
        assert (await house.http.get(f"/api/robots/{key.address}")).status_code == 200


@pytest.mark.anyio
async def test_a_registration_with_a_name_that_is_too_long_is_answered_by_name(tmp_path):
    house = Routes(tmp_path)
    robot, owner = new_key(), new_key()
    signed = body_for(house.registry, owner, robot, name="x" * 65)
    answer = await house.http.post("/api/robots", json=signed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "registration")
    assert "$.name" in answer.json()["error"]["message"]
    answer = await house.http.post(
        "/api/robots", json={**signed, "registration": {**signed["registration"], "name": deep(900)}}
    )
    assert answer.status_code == 422
    answer = await house.http.post("/api/robots", json=body_for(house.registry, owner, robot, name="x" * 64))
    assert (answer.status_code, answer.json()["name"]) == (201, "x" * 64)


@pytest.mark.anyio
async def test_a_real_robots_price_is_shown_before_a_drive_as_any_other(tmp_path):
    """It is paid once people have passed the episode: its price before the drive is what is paid then."""
    house = Routes(tmp_path)
    for simulated, price in ((True, str(10**18)), (False, str(10**18))):
        key = house.register(simulated=simulated)
        house.registry.describe(key.address, {**descriptor(), "simulated": simulated})
        card = (await house.http.get(f"/api/robots/{key.address}")).json()
        assert [task["price"] for task in card["tasks"]] == [price]
