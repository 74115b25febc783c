"""What the pages tell people to type, in their order, beside a real platform; `make docs` types what takes long."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import House
from tests.docs import pages
from tests.typed import QUICK, ROOT, Desk, typed_lines

LONG = [page for page in (str(one.relative_to(ROOT)) for one in pages()) if typed_lines(page, all_of_it=True)]


def type_page(page: str, house: House, folder: Path, *, all_of_it: bool) -> None:
    """Type every line of a page at a desk of its own; the first that fails ends it."""
    with Desk(folder, house) as desk:
        for line in typed_lines(page, all_of_it=all_of_it):
            said = desk.type(line)
            sys.stdout.write(f"$ {line}\n{said}")
            assert "Traceback" not in said, line


@pytest.mark.parametrize("page", QUICK)
def test_a_page_works_as_it_is_typed(page: str, house: House, tmp_path: Path):
    type_page(page, house, tmp_path, all_of_it=False)


@pytest.mark.docs
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", LONG)
def test_all_of_a_page_works_as_it_is_typed(page: str, house: House, tmp_path: Path):
    type_page(page, house, tmp_path, all_of_it=True)
