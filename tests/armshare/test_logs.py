"""The log: what a line looks like for people and as JSON, and what is shown of a child's log file."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from armshare.failures import PlatformError
from armshare.logs import FORMAT_VARIABLE, LogFile, LogFormat, configure
from armshare.platform.processes import Child


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Return the lines that were logged; everything that `configure` sets is put back afterwards."""
    monkeypatch.setenv(FORMAT_VARIABLE, "")
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err.splitlines()
    structlog.configure(**before)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_for_people_has_its_time_its_level_and_what_happened(said: Callable[[], list[str]]) -> None:
    configure(LogFormat.TEXT)
    structlog.get_logger().warning("hub lost", robot="panda-1", error="no answer in 5 s", note="")
    structlog.get_logger().debug("not shown")
    (line,) = said()
    assert line[19:] == ' warning hub lost  robot=panda-1  error="no answer in 5 s"  note=""'
    assert line[4] + line[7] + line[10] + line[13] == "-- :"


def test_a_failure_has_its_traceback_below_its_line(said: Callable[[], list[str]]) -> None:
    configure(LogFormat.TEXT)
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("it broke", robot="panda-1")
    first, second, *_, last = said()
    assert first.endswith(" error it broke  robot=panda-1")
    assert second == "Traceback (most recent call last):"
    assert last == "ValueError: no"


def test_as_json_each_line_is_an_object_and_a_failure_stays_one_line(said: Callable[[], list[str]]) -> None:
    configure(LogFormat.JSON)
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("it broke", robot="panda-1")
    (line,) = said()
    found = json.loads(line)
    assert (found["level"], found["event"], found["robot"]) == ("error", "it broke", "panda-1")
    assert found["exception"].endswith("ValueError: no")
    assert found["timestamp"].endswith("Z")


@pytest.mark.parametrize("form", LogFormat)
def test_libraries_speak_in_the_same_form(said: Callable[[], list[str]], form: LogFormat) -> None:
    configure(form)
    logging.getLogger("uvicorn.error").info("not shown")
    logging.getLogger("uvicorn.error").error("cannot answer %s", "this")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    first, *_ = lines = said()
    assert "old" in lines[1]
    if form is LogFormat.JSON:
        assert json.loads(first)["event"] == "cannot answer this"
    else:
        assert first.endswith(" error cannot answer this")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    """A log file in which there is something of yesterday."""
    path = tmp_path / "logs" / "hub.log"
    path.parent.mkdir()
    path.write_text("2026-11-26 10:00:00 error of yesterday\n")
    with closing(LogFile(path)) as log:
        yield log


def test_only_new_warnings_and_errors_of_a_log_file_are_shown(log: LogFile) -> None:
    log.file.write(
        b"2026-11-26 10:00:01 info fine\n2026-11-26 10:00:02 warning not fine  a=1\nraw text error\n2026-11-26"
    )
    log.file.flush()
    assert log.news() == ["2026-11-26 10:00:02 warning not fine  a=1"]
    log.file.write(b' 10:00:03 error half a line\n{"level": "critical", "event": "x"}\n{"level": "info"}\n{broken\n')
    log.file.flush()
    assert log.news() == ["2026-11-26 10:00:03 error half a line", '{"level": "critical", "event": "x"}']
    assert log.news() == []
    assert log.last_words() == "{broken"
    assert log.path.read_text().startswith("2026-11-26 10:00:00 error of yesterday"), "nothing is lost"


def test_a_log_file_that_has_grown_large_begins_again_and_the_old_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "hub.log"
    with path.open("wb") as file:
        file.truncate(10_000_001)
    LogFile(path).close()
    assert path.stat().st_size == 0
    assert (tmp_path / "hub.log.1").stat().st_size == 10_000_001


def test_a_child_that_ended_is_named_with_its_last_words_and_its_log(log: LogFile) -> None:
    child = Child("hub", ["hub", "--port", "nonsense"], log)
    try:
        assert child.wait(60)
        with pytest.raises(PlatformError) as caught:
            child.require_alive()
    finally:
        child.stop()
    assert str(caught.value).startswith("the hub ended with exit code 2: ")
    assert "valid integer" in str(caught.value)
    assert str(caught.value).endswith(f"; its log is {log.path}")
