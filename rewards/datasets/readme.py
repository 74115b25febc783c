"""The card of a released set, as the Hugging Face Hub writes cards: YAML for programs, then text for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from recorder.export.demonstrations import Demonstrations
from rewards.datasets.exporting import Said
from rewards.datasets.version import DatasetVersion
from sim.words import listed

_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST: Final = "1M<n<10M"


def readme(version: DatasetVersion, found: Demonstrations, info: Mapping[str, Any], said: Said, url: str) -> str:
    """Return README.md. `info` is the set's meta/info.json; `url` the hub's."""
    lines = [*_front(version, info), "", *_text(version, found, info, said), "", *_commands(version, url)]
    return "\n".join(lines) + "\n"


def _front(version: DatasetVersion, info: Mapping[str, Any]) -> Iterator[str]:
    """Yield the front matter. Every text that somebody typed is JSON, which is YAML that ends nowhere else."""
    frames = info["total_frames"]
    tags = ["LeRobot", "armshare", "robotics", "teleoperation"]
    yield "---"
    yield f"pretty_name: {json.dumps(version.title or version.name)}"
    yield f"license: {json.dumps(version.licence.lower())}"
    yield f"tags: {json.dumps(tags)}"
    yield 'task_categories: ["robotics"]'
    yield f"size_categories: [{json.dumps(next((name for most, name in _SIZES if frames < most), _LARGEST))}]"
    yield "configs:"
    yield "- config_name: default"
    yield "  data_files: data/*/*.parquet"
    yield "---"


def _text(version: DatasetVersion, found: Demonstrations, info: Mapping[str, Any], said: Said) -> Iterator[str]:
    meta = found.meta
    splits = Counter(one.split.value for one in version.episodes)
    yield f"# {_plain(version.title or version.name)}"
    yield ""
    if version.description:
        yield _plain(version.description)
        yield ""
    yield f"{said.written}: {_plain(meta.task.instruction or meta.task.name)} By a {_plain(meta.robot.model)}."
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| data set | {version.name}, version {version.version} |"
    yield f"| digest | `{version.digest}`, the SHA-256 of `meta/version.json` |"
    yield f"| licence | {_plain(version.licence)} |"
    yield f"| made by | `{version.owner}` |"
    yield f"| episodes | {len(version.episodes)} ({listed(f'{count} {name}' for name, count in splits.items())}) |"
    yield f"| frames | {info['total_frames']} at {info['fps']} a second |"
    yield f"| actions | `{found.space.name}` in [-1, 1]: {listed(found.space.names)} |"
    if said.fits:
        yield f"| environment | `{said.fits}` (`pip install 'armshare[sim]'`) |"
        yield f"| judged by | `{said.judged}` |"
    yield f"| receipts by | {listed(f'`{hub}`' for hub in sorted(found.hubs)) if found.hubs else 'nobody'} |"
    yield ""
    yield "The columns of `meta/episodes` say who drove each episode, how it scored, what was signed, and its `split`;"
    yield 'choose by them: `LeRobotDatasetMetadata(...).filter_episodes(lambda episode: episode["split"] == "train")`.'
    yield "`timestamp` is the nominal time; `t_observed_mono_ns` and the other `t_` columns are what the clocks showed."


def _commands(version: DatasetVersion, url: str) -> Iterator[str]:
    hub, revision = url or "URL", f"version-{version.version}"
    yield "## Load it"
    yield ""
    yield "```python"
    yield "import os"
    yield ""
    yield f'os.environ["HF_ENDPOINT"] = {json.dumps(hub)}'
    yield "from lerobot.datasets.lerobot_dataset import LeRobotDataset"
    yield ""
    yield f'data = LeRobotDataset("{version.name}", revision="{revision}")'
    yield "```"
    yield ""
    yield "## Verify it"
    yield ""
    folder = version.name.partition("/")[2]
    where = f"{version.name} --repo-type dataset --revision {revision} --local-dir {folder}"
    yield f"    HF_ENDPOINT={hub} hf download {where}"
    yield f"    curl -s {hub}/api/release.pub > release.pub"
    yield f"    model_signing verify key {folder} --signature {folder}/model.sig --public_key release.pub"
    yield ""
    yield "`model_signing` is OpenSSF's (`pip install model-signing pyopenssl`). Each episode can be checked by itself"
    yield f"too: `armshare fetch` brings its file and its signatures, and `armshare verify` checks them against {hub}."


def _plain(text: str) -> str:
    """Return a text that somebody typed, as one that cannot become a heading, a table, or a tag of HTML."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")
    return " ".join(safe.split())
