"""`armshare export`: whose episodes it takes, in which format, and with what score."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import httpx
import pyarrow.parquet as pq
import pytest

from armshare.researcher.exports import gone_at
from recorder.export.errors import ExportError
from recorder.export.formats import FORMATS, format_of
from recorder.file.episode import read_episode
from recorder.proof import manifest as manifests
from recorder.proof.bundle import SCORE_FILE
from rewards.datasets.columns import score_facts
from rewards.score.kept import keep_score
from tests.armshare.command import armshare_here
from tests.recorder.bundles import LOG_KEY
from tests.recorder.export import made
from tests.recorder.export.real import filmed_bundle
from tests.recorder.factory import DOMAIN, HUB, MALLORY

JOINTS = ("--action", "joint_position")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [str(bundle) for bundle in made.bundles(tmp_path_factory.mktemp("bundles"))]


def pins(folder: Path, hub: str = HUB.address) -> str:
    said = {"chain_id": DOMAIN.chain_id, "vault": DOMAIN.vault, "hub": hub, "log_public_key": LOG_KEY.verifier}
    (folder / "hub.json").write_text(json.dumps(said))
    return str(folder / "hub.json")


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_lerobot_data_set_has_the_scores_that_the_files_give(bundles: list[str], tmp_path: Path) -> None:
    done = armshare_here(
        "export", *bundles, "--to", str(tmp_path / "set"), "--format", "lerobot", *JOINTS, "--pins", pins(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert f"3 episodes, 55 frames, in {tmp_path / 'set'}" in words(done.stdout)
    assert "The actions fit gymnasium.make(" in words(done.stdout)
    assert not done.stderr.strip(), "with pins there is nothing to say of whose receipts these are"
    rows = pq.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for row, bundle in zip(rows, bundles, strict=True):
        expected = score_facts(Path(bundle), read_episode(Path(bundle) / "episode.h5"))
        assert {name: row[name] for name in expected} == expected
        assert {"score", "score_version", "score_success", "score_smoothness"} <= set(expected)


def test_a_target_that_ends_in_hdf5_is_robomimic(bundles: list[str], tmp_path: Path) -> None:
    target = tmp_path / "set.hdf5"
    done = armshare_here("export", *bundles, "--to", str(target), *JOINTS)
    assert done.returncode == 0, done.stderr
    assert f"Receipts are by {HUB.address}; --pins or --hub says whose to trust." in words(done.stderr)
    with h5py.File(target) as file:
        assert len(file["data"]) == 3


def test_an_mcap_of_one_episode_is_a_file_and_of_several_a_folder(bundles: list[str], tmp_path: Path) -> None:
    done = armshare_here("export", bundles[0], "--to", str(tmp_path / "one.mcap"), *JOINTS)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.mcap").read_bytes().startswith(b"\x89MCAP0")
    done = armshare_here("export", *bundles, "--to", str(tmp_path / "all"), "--format", "mcap", *JOINTS)
    assert done.returncode == 0, done.stderr
    assert "3 files, " in words(done.stdout)
    assert len(list((tmp_path / "all").iterdir())) == 3
    refused = armshare_here("export", *bundles, "--to", str(tmp_path / "three.mcap"), *JOINTS)
    assert (refused.returncode, (tmp_path / "three.mcap").exists()) == (2, False)
    assert "is a file, and 3 episodes need a folder: leave .mcap out." in words(refused.stderr)


def test_act_says_what_it_needs_before_it_writes(bundles: list[str], tmp_path: Path) -> None:
    target = tmp_path / "act"
    refused = armshare_here("export", *bundles, "--to", str(target), "--format", "act", *JOINTS)
    assert (refused.returncode, target.exists()) == (2, False)
    assert "ACT learns from pictures: name at least one camera (--camera)." in words(refused.stderr)


def test_act_says_how_many_steps_it_added_or_left_out(tmp_path: Path) -> None:
    filmed, target = filmed_bundle(tmp_path), tmp_path / "act"
    command = "export", str(filmed), "--to", str(target), "--format", "act", *JOINTS, "--length"
    done = armshare_here(*command, "9")
    assert done.returncode == 0, done.stderr
    assert "1 episode, 9 steps (0 added at the ends, 5 cut off), in " in words(done.stdout)
    assert [path.name for path in target.iterdir()] == ["episode_0.hdf5"]
    again = armshare_here(*command, "9")
    assert (again.returncode, "exists already" in words(again.stderr)) == (2, True)


def test_a_lance_data_set_says_that_it_is_one(bundles: list[str], tmp_path: Path) -> None:
    target = tmp_path / "set"
    done = armshare_here("export", *bundles, "--to", str(target), "--format", "lance", *JOINTS)
    assert done.returncode == 0, done.stderr
    assert "3 episodes, 55 frames, in " in words(done.stdout)
    assert json.loads((target / "meta/info.json").read_bytes())["storage_format"] == "lance"


def test_another_hubs_receipts_are_refused_by_name(bundles: list[str], tmp_path: Path) -> None:
    done = armshare_here(
        "export", *bundles, "--to", str(tmp_path / "x.hdf5"), *JOINTS, "--pins", pins(tmp_path, MALLORY.address)
    )
    assert done.returncode == 2
    assert "is not a verified episode: expected the hub" in words(done.stderr)


def test_episodes_without_a_receipt_are_taken_only_if_asked_for(bundles: list[str], tmp_path: Path) -> None:
    bare = Path(shutil.copytree(bundles[0], tmp_path / "bare"))
    (bare / "receipt.json").unlink()
    command = "export", str(bare), "--to", str(tmp_path / "set"), "--format", "lerobot", *JOINTS
    refused = armshare_here(*command)
    assert refused.returncode == 2
    assert "no hub has verified it" in words(refused.stderr)
    assert armshare_here(*command, "--unverified").returncode == 0


def test_actions_that_nobody_commanded_are_refused_with_those_that_there_are(
    bundles: list[str], tmp_path: Path
) -> None:
    done = armshare_here("export", *bundles, "--to", str(tmp_path / "x.hdf5"))
    assert done.returncode == 2
    assert "was driven by joint positions" in words(done.stderr)
    assert "--action joint_position or joint_delta" in words(done.stderr)
    unknown = armshare_here("export", *bundles, "--to", str(tmp_path / "x.hdf5"), "--action", "speed")
    assert "There is no action 'speed'. There are ee_twist" in words(unknown.stderr)
    assert not (tmp_path / "x.hdf5").exists()


def test_a_score_beside_an_episode_counts_only_if_the_file_gives_it(bundles: list[str], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(bundles[0], tmp_path / "bundle"))
    episode = read_episode(bundle / "episode.h5")
    computed = score_facts(bundle, episode)
    keep_score(bundle)
    assert score_facts(bundle, episode) == computed
    said = json.loads((bundle / SCORE_FILE).read_bytes())
    (bundle / SCORE_FILE).write_text(json.dumps(said | {"score": 1.0}))
    with pytest.raises(ExportError, match=r"says score 1\.0, and the file gives 0\.99"):
        score_facts(bundle, episode)
    (bundle / SCORE_FILE).write_text(json.dumps(said | {"score": 1.0, "version": "99"}))
    assert score_facts(bundle, episode) == computed, "rules that nobody here knows are not believed"
    for nonsense in ("{", "[]", "3"):
        (bundle / SCORE_FILE).write_text(nonsense)
        with pytest.raises(ExportError, match="cannot be read"):
            score_facts(bundle, episode)


def test_a_hub_is_asked_what_it_still_gives_out(bundles: list[str]) -> None:
    manifest = manifests.decode((Path(bundles[0]) / "manifest.json").read_bytes())

    def gone(status: int, state: str) -> str:
        answer = httpx.MockTransport(lambda request: httpx.Response(status, json={"state": state}))
        with httpx.Client(transport=answer, base_url="http://hub") as client:
            return gone_at(client)(manifest)

    assert gone(200, "verified") == ""
    assert gone(200, "discarded") == "the hub no longer gives it out: it is discarded"
    assert gone(404, "") == "the hub has no such episode"


def test_each_format_is_told_by_its_name_or_by_its_target() -> None:
    assert format_of("", Path("a.hdf5")).name == "robomimic"
    assert format_of("lerobot", Path("a.hdf5")).name == "lerobot"
    with pytest.raises(ExportError, match="Which format"):
        format_of("", Path("a"))
    assert all(callable(one._exporter()) for one in FORMATS.values())


def test_what_does_not_belong_together_is_refused_in_words(bundles: list[str], tmp_path: Path) -> None:
    """Nothing is written, and what to do is said, for each mixture that people make."""
    target = tmp_path / "x.hdf5"
    other = made.bundles(tmp_path / "other", name="t", task="stack")
    arm = made.bundles(tmp_path / "arm", name="a", joints=4)
    said = {
        "task": words(armshare_here("export", bundles[0], str(other[0]), "--to", str(target), *JOINTS).stderr),
        "robot": words(armshare_here("export", bundles[0], str(arm[0]), "--to", str(target), *JOINTS).stderr),
        "twice": words(armshare_here("export", bundles[0], bundles[0], "--to", str(target), *JOINTS).stderr),
    }
    assert "e0 is of the task lift (version 1), and t0 of stack (version 1). A data set holds one task" in said["task"]
    assert "A data set holds one kind of robot: export them apart." in said["robot"]
    assert "Name it once." in said["twice"]
    assert not target.exists()
