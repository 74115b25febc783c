"""What starting a process takes from the machine, and gives back where it fails."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from armshare.failures import PlatformError
from armshare.platform.processes import listen, listening, require_own_names


def test_a_port_that_is_taken_leaves_no_socket_open():
    with listen("127.0.0.1", 0) as taken:
        before = psutil.Process().num_fds()
        with pytest.raises(PlatformError, match="Choose another --port") as refused:
            listening("127.0.0.1", taken.getsockname()[1])
        assert psutil.Process().num_fds() == before, refused


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [("gamesim", "top_level.txt", "gamesim\nsim\n"), ("poetic", "RECORD", "poetic/a.py,,\nsim/__init__.py,,\n")],
)
def test_another_distribution_that_brings_a_package_of_our_name_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str, text: str
) -> None:
    require_own_names()
    kept = tmp_path / f"{name}-1.0.dist-info"
    kept.mkdir()
    (kept / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (kept / file).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PlatformError, match=f"sim is also {name}'s"):
        require_own_names()
