"""What an episode is searched by, as its manifest says: its model and its length, whatever a host writes there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from recorder.hub.records import searchable_model
from recorder.proof.manifest import DURATION_MAX_MS, Manifest, decode, duration_ms
from tests.recorder.bundles import good_bundle
from tests.recorder.hub.test_api import seal, upload


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    bundle = good_bundle(tmp_path_factory.mktemp("bundle"))
    return decode((bundle / "manifest.json").read_bytes())


def of(manifest: Manifest, *, simulated: bool = True, model: str = "panda", **said: object) -> Manifest:
    robot = msgspec.structs.replace(manifest.robot, simulated=simulated, model=model)
    return msgspec.structs.replace(manifest, robot=robot, **said)


def test_a_simulation_takes_its_own_time_and_a_real_robot_that_of_its_hosts_clock(manifest: Manifest) -> None:
    said = {"steps": 300, "control_hz": 30.0, "started_ms": "1000", "ended_ms": "13500"}
    assert duration_ms(of(manifest, **said)) == 10_000
    assert duration_ms(of(manifest, simulated=False, **said)) == 12_500


@pytest.mark.parametrize(
    "said",
    [
        {"steps": 2**53, "control_hz": 5e-324},
        {"simulated": False, "started_ms": "0", "ended_ms": "9" * 19},
    ],
)
def test_a_length_has_an_end_whatever_is_said(manifest: Manifest, said: dict[str, object]) -> None:
    assert duration_ms(of(manifest, **said)) == DURATION_MAX_MS


def test_a_clock_that_ran_backwards_took_no_time(manifest: Manifest) -> None:
    assert duration_ms(of(manifest, simulated=False, started_ms="2000", ended_ms="1000")) == 0


@pytest.mark.parametrize(("model", "kept"), [("panda", "panda"), ("x" * 65, None), ("", None), ("a\x00b", None)])
def test_a_model_that_no_search_could_name_is_not_kept(manifest: Manifest, model: str, kept: str | None) -> None:
    assert searchable_model(of(manifest, model=model)) == kept


def test_they_are_kept_as_an_episode_is_sealed(hub, web, tmp_path: Path) -> None:
    bundle = good_bundle(tmp_path)
    hub.begin(bundle.name)
    assert seal(web, bundle, upload(web, bundle)).status_code == 202
    found = hub.catalogue.get(bundle.name)
    sealed = decode((bundle / "manifest.json").read_bytes())
    assert (found.model, found.duration_s) == (sealed.robot.model, duration_ms(sealed) / 1000)
