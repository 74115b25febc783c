"""The pictures in the docs: each one that is listed is there, at every size and in every theme, and they stay small."""

from __future__ import annotations

from typing import Final

from tests.screenshots.__main__ import TARGET
from tests.screenshots.captions import CAPTIONS, index
from tests.screenshots.studio import SCHEMES, SIZES, file_of

MOST_BYTES: Final = 10 * 1024**2


def test_the_list_of_screenshots_is_the_one_that_is_written_and_every_picture_is_there() -> None:
    assert (TARGET / "README.md").read_text() == index(), "make screenshots writes it"
    listed = {file_of(name, size, scheme) for name in CAPTIONS for size in SIZES for scheme in SCHEMES}
    assert {file.name for file in TARGET.iterdir()} == listed | {"README.md"}


def test_the_screenshots_are_small() -> None:
    assert sum(file.stat().st_size for file in TARGET.iterdir()) < MOST_BYTES
