"""A data set's version in Croissant 1.1 (MLCommons), so that catalogues find it and loaders read it.

Two files are described: the version's own document, whose SHA-256 is the version's digest, and a table with one row an
episode, which says who made it (PROV-O, at each record), what it is, and where its bytes are. Terms of use are an ODRL
offer that says in a machine's words what the licence says; the licence's own text counts.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from rewards.datasets.version import ChangeKind, DatasetVersion, Split

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.1"
_RAI: Final = "http://mlcommons.org/croissant/RAI/1.0"
_TABLE: Final = "episodes.csv"
_DOCUMENT: Final = "version.json"
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "cc": "http://creativecommons.org/ns#",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "readLines": "cr:readLines",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "sdVersion": "cr:sdVersion",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "unArchive": "cr:unArchive",
    "value": "cr:value",
}
"""The specification's own context, with PROV-O, ODRL and Creative Commons; validators want the whole of it."""
_SPLITS: Final = {
    Split.TRAIN: "cr:TrainingSplit",
    Split.VALIDATION: "cr:ValidationSplit",
    Split.TEST: "cr:TestSplit",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a licence lets people do, and asks of them, in the words of ODRL and of Creative Commons."""

    permitted: tuple[str, ...]
    prohibited: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()


_ALL: Final = ("odrl:use", "odrl:distribute", "odrl:derive")
_NAMED: Final = ("odrl:attribute",)
_ALIKE: Final = ("odrl:attribute", "cc:ShareAlike")
_UNSOLD: Final = "cc:CommercialUse"
TERMS: Final[dict[str, Terms]] = {
    "CC0-1.0": Terms(_ALL),
    "PDDL-1.0": Terms(_ALL),
    "CC-BY-4.0": Terms(_ALL, duties=_NAMED),
    "CC-BY-SA-4.0": Terms(_ALL, duties=_ALIKE),
    "CC-BY-NC-4.0": Terms(_ALL, (_UNSOLD,), _NAMED),
    "CC-BY-NC-SA-4.0": Terms(_ALL, (_UNSOLD,), _ALIKE),
    "CC-BY-ND-4.0": Terms(_ALL[:2], ("odrl:derive",), _NAMED),
    "CC-BY-NC-ND-4.0": Terms(_ALL[:2], (_UNSOLD, "odrl:derive"), _NAMED),
    "ODC-By-1.0": Terms(_ALL, duties=_NAMED),
    "ODbL-1.0": Terms(_ALL, duties=_ALIKE),
}
"""Of the licences that are said here in full; of any other, only its address is given."""


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """One row of the table: what is known of an episode that does not change."""

    episode: str
    digest: str
    split: Split
    url: str
    """Of `episode.h5`."""
    sha256: str
    bytes: int
    task: str
    robot: str
    model: str
    operator: str
    driver: str
    """person, script or policy; empty if an earlier release began it."""
    success: bool | None
    steps: int | None
    duration_s: float
    trust: str
    made: str
    """When the hub took it in, ISO 8601 in UTC."""


_MEANS: Final[dict[str, tuple[str, str]]] = {
    "episode": ("sc:Text", "The episode's id at the hub."),
    "digest": ("sc:Text", "The EIP-712 digest that its operator's key and its robot's key have signed."),
    "split": ("sc:Text", "What the episode is for: train, validation or test."),
    "url": ("sc:URL", "Where its HDF5 file is."),
    "sha256": ("sc:Text", "SHA-256 of that file."),
    "bytes": ("cr:Int64", "Bytes of that file."),
    "task": ("sc:Text", "The name of the task."),
    "robot": ("sc:Text", "The address of the robot's key."),
    "model": ("sc:Text", "The robot's model."),
    "operator": ("sc:Text", "The wallet of the person who drove, or whose script or policy did."),
    "driver": ("sc:Text", "Who or what drove, by the operator's word: person, script or policy."),
    "success": ("sc:Boolean", "Whether it ended in success."),
    "steps": ("cr:Int64", "Steps of the control loop."),
    "duration_s": ("cr:Float64", "Its length in seconds."),
    "trust": ("sc:Text", "replayed: the hub reproduced the simulation bit for bit. witnessed: a robot's host's word."),
    "made": ("sc:DateTime", "When the hub took it in."),
}


def table(records: Iterable[EpisodeRecord]) -> bytes:
    """Return the table of episodes as CSV (RFC 4180, UTF-8), a header first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    names = [one.name for one in fields(EpisodeRecord)]
    writer.writerow(names)
    for record in records:
        writer.writerow([_cell(getattr(record, name)) for name in names])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def croissant(version: DatasetVersion, records: Sequence[EpisodeRecord], *, hub: str, page: str) -> dict[str, Any]:
    """Return a version as Croissant's JSON-LD.

    `records` are the rows of `table`, in the version's order; `hub` is its public URL, without a slash at its end, and
    `page` the address of the data set's page.
    """
    files = f"{hub}/api/sets/{version.name}/versions/{version.version}"
    owner = _agent(version.owner, hub)
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [CONFORMS_TO, _RAI],
        "name": version.title,
        "alternateName": version.name,
        "identifier": f"sha256:{version.digest}",
        "description": version.description or version.title,
        "license": _licence_url(version.licence),
        "url": page,
        "version": f"{version.version}.0.0",
        "creator": {"@type": "sc:Person", "name": version.owner, "identifier": f"eip155:{version.owner}"},
        "publisher": {"@type": "sc:Organization", "name": "armshare", "url": hub},
        "datePublished": _time(version.made_ms),
        "keywords": sorted({"robotics", "demonstrations", "teleoperation", *_known(records)}),
        "citeAs": f"{version.title}. {version.name}@{version.version}, sha256:{version.digest}. {page}",
        "isLiveDataset": False,
        "prov:wasAttributedTo": owner,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"{version.change.kind.value}: {version.change.reason}".rstrip(": "),
            "prov:endedAtTime": _time(version.made_ms),
        },
        **_derived(version),
        **_responsible(records),
        **_usage(version.licence),
        "distribution": _distribution(version, records, files),
        "recordSet": [_split_records(), _episode_records()],
    }


def _known(records: Iterable[EpisodeRecord]) -> set[str]:
    return {word for record in records for word in (record.task, record.model) if word}


def _agent(wallet: str, hub: str) -> dict[str, Any]:
    return {"@type": "prov:Agent", "@id": f"{hub}/api/operators/{wallet}", "prov:label": wallet}


def _derived(version: DatasetVersion) -> dict[str, Any]:
    before = [version.previous] if version.previous else []
    if version.change.kind is ChangeKind.MERGED:
        before.extend(version.change.merged)
    return {"prov:wasDerivedFrom": [{"@id": f"urn:sha256:{digest}"} for digest in before]} if before else {}


def _responsible(records: Sequence[EpisodeRecord]) -> dict[str, Any]:
    """Return what Croissant's vocabulary for responsible AI asks, as far as it is known."""
    witnessed = any(record.trust != "replayed" for record in records)
    people = len({record.operator for record in records})
    return {
        "rai:dataCollection": f"Robots driven over the network by {people} wallet{'' if people == 1 else 's'}, "
        "recorded beside the robot at the rate of its control loop, signed by operator and robot, and paid by a "
        "contract.",
        "rai:dataCollectionType": ["Physical data collection" if witnessed else "Software Collection"],
        "rai:dataUseCases": ["Training", "Testing", "Validation"],
        "rai:personalSensitiveInformation": [
            "Wallet addresses of operators; pictures of real robots may show where they stand."
            if witnessed
            else "Wallet addresses of operators; the scenes are simulated."
        ],
        "rai:dataReleaseMaintenancePlan": "A version never changes. If an operator withdraws an episode, a new version "
        "is made without it.",
    }


def _usage(licence: str) -> dict[str, Any]:
    terms = TERMS.get(licence)
    if terms is None:
        return {}
    permission: dict[str, Any] = {"@type": "odrl:Permission", "odrl:action": _ids(terms.permitted)}
    if terms.duties:
        permission["odrl:duty"] = {"@type": "odrl:Duty", "odrl:action": _ids(terms.duties)}
    offer: dict[str, Any] = {
        "@type": ["CreativeWork", "odrl:Offer"],
        "name": licence,
        "url": _licence_url(licence),
        "odrl:permission": permission,
    }
    if terms.prohibited:
        offer["odrl:prohibition"] = {"@type": "odrl:Prohibition", "odrl:action": _ids(terms.prohibited)}
    return {"usageInfo": offer}


def _ids(actions: Iterable[str]) -> list[dict[str, str]]:
    return [{"@id": action} for action in actions]


def _licence_url(licence: str) -> str:
    """Return SPDX's page of a licence; of terms of one's own, the identifier: they are in the description."""
    return licence if licence.startswith("LicenseRef-") else f"https://spdx.org/licenses/{licence}.html"


def _distribution(version: DatasetVersion, records: Sequence[EpisodeRecord], files: str) -> list[dict[str, Any]]:
    rows, document = table(records), version.encode()
    return [
        _file(_DOCUMENT, f"{files}/document", "application/json", document, "The version itself, in canonical JSON."),
        _file(_TABLE, f"{files}/episodes.csv", "text/csv", rows, "One row an episode."),
    ]


def _file(name: str, url: str, form: str, data: bytes, what: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": what,
        "contentUrl": url,
        "contentSize": f"{len(data)} B",
        "encodingFormat": form,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _split_records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "What the episodes are for.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": "sc:URL"},
        ],
        "data": [{"splits/name": split.value, "splits/url": url} for split, url in _SPLITS.items()],
    }


def _episode_records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "episodes",
        "name": "episodes",
        "description": "The episodes, in the order of the data set.",
        "key": {"@id": "episodes/episode"},
        "field": [_field(one.name) for one in fields(EpisodeRecord)],
    }


def _field(name: str) -> dict[str, Any]:
    kind, what = _MEANS[name]
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"episodes/{name}",
        "name": name,
        "description": what,
        "dataType": kind,
        "source": {"fileObject": {"@id": _TABLE}, "extract": {"column": name}},
    }
    if name == "split":
        found["references"] = {"field": {"@id": "splits/name"}}
    if name == "episode":
        found["annotation"] = {
            "@type": "cr:Field",
            "@id": "episodes/episode/operator",
            "name": "operator",
            "description": "Who made this record.",
            "dataType": "prov:Agent",
            "equivalentProperty": "prov:wasAttributedTo",
            "source": {"fileObject": {"@id": _TABLE}, "extract": {"column": "operator"}},
        }
    return found


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
