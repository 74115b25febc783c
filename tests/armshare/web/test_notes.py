"""A person writes a note in the middle of a drive: the robot is let go meanwhile, and the words go with the episode."""

from __future__ import annotations

from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from recorder.file.episode import read_episode
from tests.armshare.web.test_browser import AXE, STATE_IS, checked, opened, sign_in, take_robot
from tests.armshare.web.test_leaving import drives
from tests.browser import complaints
from tests.conftest import House


def test_a_note_is_kept_and_the_robot_is_let_go_while_it_is_written(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(path=AXE)
    page = opened(context, house.url)
    sign_in(page)
    take_robot(page)
    write, dialog, text = (page.get_by_test_id(name) for name in ("open-note", "note", "note-text"))
    expect(write).to_be_disabled()
    drives(page)
    page.keyboard.down("w")
    page.keyboard.press("n")
    page.wait_for_function(STATE_IS, arg=["holding", "expired", "armed"])
    page.keyboard.up("w")
    expect(text).to_be_focused()
    expect(text).to_have_value("")
    assert checked(page, "a note") == []
    page.set_viewport_size({"width": 1280, "height": 800})
    page.keyboard.type("was it wax? the cube slipped")  # each of these letters would move the robot
    page.wait_for_function(STATE_IS, arg=["holding", "expired", "armed"])
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(write).to_have_attribute("data-notes", "1")
    steps = drives(page, drives(page) + 4)  # the keys are the robot's again

    page.set_viewport_size({"width": 390, "height": 844})
    write.click()
    text.fill("on a phone")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_test_id("stopped")).to_have_count(0)
    expect(write).to_have_attribute("data-notes", "1")
    page.get_by_test_id("finish").click()
    page.get_by_test_id("score").wait_for()
    (episode,) = httpx.get(f"{house.url}/api/episodes", params={"limit": 1, "driver": "person"}).json()["episodes"]
    assert (episode["state"], episode["driver"]) == ("verified", {"kind": "person", "name": "", "sha256": ""})
    assert episode["steps"] >= steps
    (tmp_path / "episode.h5").write_bytes(
        httpx.get(f"{house.url}/api/episodes/{episode['episode']}/files/episode.h5").content
    )
    found = read_episode(tmp_path / "episode.h5")
    (note,) = found.meta.notes
    assert note.text == "was it wax? the cube slipped"
    assert found.t_observed_ns[0] < int(note.t_mono_ns) < found.t_observed_ns[-1]
    assert complaints(page) == []
    context.close()
