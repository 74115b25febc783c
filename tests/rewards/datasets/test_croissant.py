"""A version in Croissant is what mlcroissant, the reference implementation, reads and says is right."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rewards.datasets.croissant import TERMS, EpisodeRecord, croissant, table
from rewards.datasets.version import FORMAT, Change, ChangeKind, DatasetVersion, Member, Split

HUB = "http://127.0.0.1:8000"
PAGE = f"{HUB}/#/data/lab/lift/2"
OWNER = "0x" + "aB" * 20
_READ = """
import json, sys, pathlib, mlcroissant
folder = pathlib.Path(sys.argv[1])
files = {name: folder / name for name in ("episodes.csv", "version.json")}
found = mlcroissant.Dataset(folder / "croissant.json", mapping=files)
told = {name: [{key.split("/")[1]: value.decode() if isinstance(value, bytes) else str(value)
    for key, value in one.items()} for one in found.records(name)] for name in ("episodes", "splits")}
print(json.dumps(told))
"""


def record(number: int, split: Split = Split.TRAIN) -> EpisodeRecord:
    return EpisodeRecord(
        episode=f"01J{number:023d}",
        digest="0x" + f"{number:064x}",
        split=split,
        url=f"{HUB}/api/episodes/01J{number:023d}/files/episode.h5",
        sha256=hashlib.sha256(bytes([number])).hexdigest(),
        bytes=10_000 + number,
        task="lift",
        robot="0x" + "12" * 20,
        model='a "panda", mended',
        operator="0x" + f"{number:040x}",
        driver="person",
        success=number != 1,
        steps=100 + number,
        duration_s=5.05,
        trust="replayed",
        made="2026-11-01T10:00:00Z",
    )


RECORDS = [record(0), record(1, Split.VALIDATION), record(2, Split.TEST)]


def version(records: list[EpisodeRecord], licence: str = "CC-BY-4.0") -> DatasetVersion:
    members = tuple(Member(one.episode, one.digest, one.sha256, one.bytes, one.split) for one in records)
    change = Change(ChangeKind.MERGED, "two sets in one", ("a" * 64,))
    said = (FORMAT, "lab/lift", 2, "b" * 64, "Lifting", "Cubes, lifted.", licence, OWNER, 1_790_000_000_000)
    return DatasetVersion(*said, change, members)


def write(folder: Path, made: DatasetVersion, records: list[EpisodeRecord]) -> dict[str, Any]:
    found = croissant(made, records, hub=HUB, page=PAGE)
    (folder / "croissant.json").write_text(json.dumps(found))
    (folder / "episodes.csv").write_bytes(table(records))
    (folder / "version.json").write_bytes(made.encode())
    return found


def validated(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mlcroissant")), "validate", "--jsonld", "croissant.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_reference_implementation_validates_and_reads_it(tmp_path: Path):
    write(tmp_path, version(RECORDS), RECORDS)
    checked = validated(tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "Done" in checked.stderr
    assert "WARNING" not in checked.stderr
    read = subprocess.run([sys.executable, "-c", _READ, str(tmp_path)], capture_output=True, text=True, check=True)
    told = json.loads(read.stdout)
    assert [one["name"] for one in told["splits"]] == ["train", "validation", "test"]
    for found, wanted in zip(told["episodes"], RECORDS, strict=True):
        said = msgspec.to_builtins(wanted)
        assert found.pop("made").startswith("2026-11-01 10:00:00")
        assert found == {name: str(value) for name, value in said.items() if name != "made"}


def test_it_is_refused_if_it_says_something_that_is_not_croissant(tmp_path: Path):
    found = write(tmp_path, version(RECORDS), RECORDS)
    found["recordSet"][1]["field"][3]["source"]["fileObject"]["@id"] = "another.csv"
    (tmp_path / "croissant.json").write_text(json.dumps(found))
    checked = validated(tmp_path)
    assert "error" in checked.stderr
    assert "another.csv" in checked.stderr


def test_its_files_are_named_by_what_is_in_them():
    made = version(RECORDS)
    document, rows = croissant(made, RECORDS, hub=HUB, page=PAGE)["distribution"]
    assert document["sha256"] == made.digest
    assert document["contentUrl"] == f"{HUB}/api/sets/lab/lift/versions/2/document"
    assert rows["sha256"] == hashlib.sha256(table(RECORDS)).hexdigest()
    changed = croissant(made, [replace(RECORDS[0], operator=OWNER), *RECORDS[1:]], hub=HUB, page=PAGE)
    assert changed["distribution"][1]["sha256"] != rows["sha256"]


def test_it_says_who_made_it_and_each_record_and_from_what():
    found = croissant(version(RECORDS), RECORDS, hub=HUB, page=PAGE)
    assert found["prov:wasAttributedTo"]["prov:label"] == OWNER
    derived = {one["@id"] for one in found["prov:wasDerivedFrom"]}
    assert derived == {"urn:sha256:" + "b" * 64, "urn:sha256:" + "a" * 64}
    annotation = found["recordSet"][1]["field"][0]["annotation"]
    assert annotation["equivalentProperty"] == "prov:wasAttributedTo"
    assert annotation["source"]["extract"]["column"] == "operator"


@pytest.mark.parametrize("licence", sorted(TERMS))
def test_terms_say_what_the_licence_says(licence: str):
    usage = croissant(version(RECORDS, licence), RECORDS, hub=HUB, page=PAGE)["usageInfo"]
    prohibited = {one["@id"] for one in usage.get("odrl:prohibition", {}).get("odrl:action", [])}
    duties = {one["@id"] for one in usage["odrl:permission"].get("odrl:duty", {}).get("odrl:action", [])}
    permitted = {one["@id"] for one in usage["odrl:permission"]["odrl:action"]}
    assert ("cc:CommercialUse" in prohibited) == ("-NC" in licence)
    assert ("odrl:derive" in prohibited) == ("-ND" in licence) == ("odrl:derive" not in permitted)
    assert ("cc:ShareAlike" in duties) == ("-SA" in licence or licence == "ODbL-1.0")
    assert ("odrl:attribute" in duties) == ("BY" in licence.upper() or licence == "ODbL-1.0")


def test_of_a_licence_that_is_not_known_here_no_terms_are_made_up():
    found = croissant(version(RECORDS, "LicenseRef-Lab-1"), RECORDS, hub=HUB, page=PAGE)
    assert "usageInfo" not in found
    assert found["license"] == "LicenseRef-Lab-1"


def test_real_robots_pictures_are_said_to_be_personal():
    real = [replace(RECORDS[0], trust="witnessed")]
    told = croissant(version(real), real, hub=HUB, page=PAGE)["rai:personalSensitiveInformation"]
    assert "pictures of real robots" in told[0]
    simulated = croissant(version(RECORDS), RECORDS, hub=HUB, page=PAGE)["rai:personalSensitiveInformation"]
    assert "pictures" not in simulated[0]
