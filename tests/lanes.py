"""Which tests run beside each other when several workers share them.

A file runs in one worker, in its own order. Two lanes hold more than a file, so that only one of their tests runs at a
time, whatever the number of workers: `browser` is everything with Chromium, `platform` everything else that starts the
real processes. Both begin at once, because nothing takes longer; the other files follow, the longest first.
"""

from __future__ import annotations

from typing import Final

LANES: Final = {
    "tests/armshare/web/": "browser",
    "tests/armshare/platform/test_qualification.py": "browser",
    "tests/armshare/platform/test_behind_a_proxy.py": "browser",
    "tests/armshare/": "platform",
    "tests/adversary/": "platform",
    "tests/test_wheel.py": "platform",
}
"""The lane of whatever begins so; the first that fits."""
APART: Final = ("tests/armshare/study/", "tests/armshare/cli/test_datasets.py")
"""Below a lane's folder and in no lane: nothing there starts the platform."""
ALONE: Final = (
    "tests/armshare/cli/test_evaluate_command.py",
    "tests/armshare/cli/test_fetched.py",
    "tests/armshare/cli/test_export_set.py",
    "tests/armshare/cli/test_export.py",
    "tests/armshare/cli/test_record_command.py",
    "tests/armshare/cli/test_score_command.py",
    "tests/armshare/cli/test_films.py",
    "tests/armshare/cli/test_rescore_command.py",
    "tests/armshare/cli/test_robot_command.py",
)
"""As those, but slow: they draw, or start workers. In a lane they would wait for the platforms, and these for them."""
LONG: Final = (
    "tests/recorder/dataset/test_dataset.py",
    "tests/armshare/study/test_command.py",
    *ALONE,
    "tests/teleop/test_drive.py",
    "tests/teleop/cameras/test_cameras.py",
    "tests/teleop/operator/test_pilot.py",
    "tests/recorder/host/test_uploader_pieces.py",
    "tests/sim/test_gym.py",
    "tests/sim/tasks/test_tasks.py",
    "tests/recorder/host/test_full_disk.py",
    "tests/recorder/hub/test_api.py",
    "tests/sim/physics/test_rewind.py",
    "tests/rewards/chain/test_vault.py",
    "tests/rewards/chain/test_anvil.py",
    "tests/teleop/hub/test_bad_input.py",
    "tests/sim/physics/test_corpus.py",
    "tests/sim/bring/test_add.py",
    "tests/sim/pictures/test_render.py",
    "tests/rewards/ledger/test_ledger.py",
    "tests/recorder/pictures/test_drawn.py",
)
"""Files that take longest, beside the lanes: begun late, one of them alone would hold up the end."""


def lane_of(test: str) -> str:
    """Return the lane of a test's id, or its file."""
    if test.startswith((*APART, *ALONE)):
        return test.partition("::")[0]
    return next((lane for begins, lane in LANES.items() if test.startswith(begins)), test.partition("::")[0])


def is_slow(test: str) -> bool:
    """Whether a test belongs to a lane, or to a file that takes as long; `make check` leaves it out."""
    return lane_of(test) in LANES.values() or test.startswith(ALONE)


def turn_of(test: str) -> tuple[int, int]:
    """Return a test's place in the order: the lanes in theirs, then the long files, then the others."""
    lane = lane_of(test)
    lanes = list(dict.fromkeys(LANES.values()))
    if lane in lanes:
        return 0, lanes.index(lane)
    return (1, LONG.index(lane)) if lane in LONG else (2, 0)
