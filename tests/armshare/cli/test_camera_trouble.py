"""A camera that fails is told in the terminal as it happens, and with the result."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from armshare.operator.drive import Outcome, _camera_told, lines
from armshare.operator.handing import Episode

MESSAGE: dict[str, Any] = {
    "type": "camera_trouble",
    "episode": "e1",
    "camera": "wrist",
    "trouble": "lost",
    "times": 1,
    "from_s": 12.0,
    "until_s": None,
}


def test_the_terminal_tells_of_a_camera_at_once_and_with_the_result_and_its_json():
    outcome, told = Outcome(""), []
    driver: Any = SimpleNamespace(cameras={"e1": {}})
    for message in (MESSAGE, MESSAGE | {"until_s": 15.0}):
        driver.cameras["e1"]["wrist", "lost"] = message
        _camera_told(driver, outcome, message, told.append)
    over = "The camera 'wrist' had stopped: its pictures are missing from 0:12 to 0:15."
    assert told == ["The camera 'wrist' has stopped: its pictures are missing from 0:12 on.", over]
    outcome.episodes.append(Episode("e1", 60, True, 0.5, True, "", 0, "0", False, []))
    outcome.episodes.append(Episode("e2", 60, True, 0.5, True, "", 0, "0", False, []))
    assert [line.strip() for line in lines(outcome) if "camera" in line] == [f"[yellow]camera[/yellow]  {over}"]
    assert json.loads(json.dumps(outcome.as_dict()))["cameras"] == {"e1": [over]}
