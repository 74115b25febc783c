"""Episodes at a hub or in a bucket: which there are below a URL, and the files of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from xml.etree import ElementTree

import msgspec

from recorder.dataset.errors import RemoteError
from recorder.dataset.remote.source import read_document, read_query
from recorder.file.layout import EpisodeIdError, require_episode_id
from recorder.proof.bundle import MANIFEST_FILE, SMALL_FILE_BYTES_MAX

SCHEMES: Final = ("http://", "https://", "s3://")
_EPISODES: Final = "/api/episodes"
_PAGE: Final = "200"
_S3: Final = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True, slots=True, order=True)
class RemoteBundle:
    """One episode's files, each at `files / NAME`."""

    episode: str
    files: str

    def url(self, name: str) -> str:
        """Return the URL of a file."""
        return f"{self.files}/{name}"

    def document(self, name: str) -> bytes | None:
        """Return one of its documents; None if there is none. Raises RemoteError."""
        return read_document(self.url(name), SMALL_FILE_BYTES_MAX)

    def __str__(self) -> str:
        """Return what errors call it."""
        return self.files


def is_remote(place: object) -> bool:
    """Return whether this is a URL of episodes, and not a path."""
    return isinstance(place, str) and place.startswith(SCHEMES)


def bundles_at(url: str) -> list[RemoteBundle]:
    """Return the episodes at a URL, by their ids; raise RemoteError.

    `https://HUB` has the verified episodes of a hub, `https://HUB/api/episodes?task=lift` those that a search finds,
    `https://HUB/api/episodes/ID` one; `s3://BUCKET/PREFIX` is a bundle, or has a folder for each.
    """
    return sorted(_in_bucket(url.rstrip("/")) if url.startswith("s3://") else _at_hub(url))


def _at_hub(url: str) -> Iterator[RemoteBundle]:
    parts = urlsplit(url)
    path = parts.path.rstrip("/").removesuffix("/files")
    before, found, one = path.rpartition(f"{_EPISODES}/")
    if found:
        yield _of_hub(urlunsplit((parts.scheme, parts.netloc, before, "", "")), one)
        return
    hub = urlunsplit((parts.scheme, parts.netloc, path.removesuffix(_EPISODES), "", ""))
    query = {"limit": _PAGE, "state": "verified", **dict(parse_qsl(parts.query))}
    after: str | None = None
    while after is None or after:
        page = _page(hub, query if after is None else query | {"after": after})
        for named in page["episodes"]:
            yield _of_hub(hub, named)
        if after is not None and page["next"] == after:
            raise RemoteError(f"{hub} says that a page of episodes follows itself.")
        after = page["next"] or ""


def _of_hub(hub: str, episode: str) -> RemoteBundle:
    try:
        require_episode_id(episode)
    except EpisodeIdError as error:
        raise RemoteError(f"{hub} names an episode that cannot be one: {error}") from error
    return RemoteBundle(episode, f"{hub}{_EPISODES}/{episode}/files")


def _page(hub: str, query: dict[str, str]) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(read_query(hub + _EPISODES, query))
        return {"episodes": [str(one["episode"]) for one in said["episodes"]], "next": said["next"]}
    except FileNotFoundError as error:
        raise RemoteError(f"{hub} is not a hub: {error}.") from error
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise RemoteError(f"{hub}{_EPISODES} does not answer as a hub does: {error}.") from error


def _in_bucket(url: str) -> Iterator[RemoteBundle]:
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    below = f"{prefix}/" if prefix else ""
    query = {"list-type": "2", "prefix": below}
    while True:
        keys, after = _keys(f"s3://{parts.netloc}", query)
        for key in keys:
            folder, _, name = key.removeprefix(below).rpartition("/")
            if name == MANIFEST_FILE and "/" not in folder:
                whole = f"{below}{folder}".rstrip("/")
                yield RemoteBundle(whole.rpartition("/")[2], f"s3://{parts.netloc}/{whole}")
        if not after:
            return
        query["continuation-token"] = after


def _keys(bucket: str, query: dict[str, str]) -> tuple[list[str], str]:
    """Return a page of a bucket's keys, and what asks for the next, empty if there is none."""
    try:
        root = ElementTree.fromstring(read_query(bucket, query))
    except FileNotFoundError as error:
        raise RemoteError(f"There is no bucket {bucket}: {error}.") from error
    except ElementTree.ParseError as error:
        raise RemoteError(f"{bucket} does not answer as a bucket does: {error}.") from error
    if root.tag != f"{_S3}ListBucketResult":
        raise RemoteError(f"{bucket} does not answer as a bucket does: {root.tag[:80]!r}.")
    keys = [one.text or "" for one in root.iterfind(f"{_S3}Contents/{_S3}Key")]
    return keys, root.findtext(f"{_S3}NextContinuationToken", "")
