"""The log: one line for each event, for people or as JSON, and a child's log file whose warnings are shown at once.

A line for people is `date time level event key=value ...`; as JSON it is an object with `timestamp`, `level` and
`event`. Libraries' own warnings and errors (the standard library's `logging`, `warnings`) look the same.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import MutableMapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import Processor

FORMAT_VARIABLE: Final = "ARMSHARE_LOG_FORMAT"
_LOUD: Final = ("warning", "error", "critical")
_LINE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (\w+) ")
_TAIL_BYTES: Final = 4096
_LARGE_BYTES: Final = 10_000_000


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class Lossy:
    """A text stream for `print` that never raises: a log on a full disk loses lines, and ends no thread that logs."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream` what can be written."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, or lose it."""
        with contextlib.suppress(OSError, ValueError):  # a closed stream raises ValueError
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure(form: LogFormat) -> None:
    """Make every log of this process, and of the processes that it starts, look the same."""
    os.environ[FORMAT_VARIABLE] = form.value
    shared, last = _shared(form), _as_json() if form is LogFormat.JSON else _as_text()
    structlog.configure(
        processors=processors(form),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Lossy(sys.stderr))),
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[of_libraries], force=True)
    logging.captureWarnings(capture=True)


def processors(form: LogFormat) -> list[Processor]:
    """Return what makes a line of that form."""
    return [*_shared(form), *(_as_json() if form is LogFormat.JSON else _as_text())]


def _shared(form: LogFormat) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if form is LogFormat.JSON else "%Y-%m-%d %H:%M:%S"),
    ]


def _as_json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _as_text() -> list[Processor]:
    def line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        """Return one line and, if something failed, its traceback below."""
        traced = event.pop("exception", None)
        first = " ".join(str(event.pop(name)) for name in ("timestamp", "level", "event"))
        rest = "".join(f"  {name}={_valued(value)}" for name, value in event.items())
        return first + rest + (f"\n{traced}" if traced else "")

    return [structlog.processors.format_exc_info, line]


def _valued(value: object) -> str:
    said = str(value)
    return json.dumps(said, ensure_ascii=False) if not said or any(one.isspace() for one in said) else said


class LogFile:
    """The log file of one child process, which goes on in the file of the one before.

    A file that has grown large is kept beside it as `NAME.log.1`, instead of the one that was there.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LARGE_BYTES:
            path.replace(path.with_suffix(".log.1"))
        self.path = path
        self.file = path.open("ab")
        self._read = path.open("rb")
        self._read.seek(0, os.SEEK_END)
        self._unfinished = b""

    def news(self) -> list[str]:
        """Return the lines of warnings and errors that have come since the last call."""
        *whole, self._unfinished = (self._unfinished + self._read.read()).split(b"\n")
        return [line for line in (one.decode(errors="replace") for one in whole) if _level(line) in _LOUD]

    def last_words(self) -> str:
        """Return the newest line that has words in it."""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip(" │") for line in reversed(lines) if any(map(str.isalnum, line))), "")

    def close(self) -> None:
        """Close the files."""
        self.file.close()
        self._read.close()


def _level(line: str) -> str:
    """Return the level of a line of either form; empty if it is no such line."""
    if line.startswith("{"):
        try:
            return str(json.loads(line).get("level", ""))
        except ValueError:
            return ""
    found = _LINE.match(line)
    return found[1] if found else ""
