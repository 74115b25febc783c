"""Promises of a version's document: canonical bytes that can be written piece by piece, and a name that is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.datasets.version import (
    FORMAT,
    Change,
    ChangeKind,
    DatasetNameError,
    DatasetVersion,
    Member,
    Shares,
    Split,
    document,
    require_name,
)

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
MEMBERS = st.builds(
    Member,
    episode=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    digest=HEX.map("0x".__add__),
    sha256=HEX,
    size=st.integers(0, 2**53 - 1),
    split=st.sampled_from(Split),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(st.lists(MEMBERS, max_size=5), TEXTS | st.just('x","episodes":[],"format":"'), st.integers(0, 1_000_000))
def test_the_bytes_that_are_written_piece_by_piece_are_the_canonical_ones(members, text, train):
    change = Change(ChangeKind.MERGED, text, ("0" * 64,))
    said = {"title": text, "description": text, "licence": "CC-BY-4.0", "owner": "0x1", "made_ms": 7, "change": change}
    shares = Shares(train, 1_000_000 - train, 0)
    whole = DatasetVersion(FORMAT, "lab/lift", 3, "", **said, episodes=tuple(members), shares=shares)
    assert b"".join(document(whole, members)) == whole.encode()


@pytest.mark.parametrize("shares", [(1, 2, 3), (1_000_000, 1, 0), (0, 0, 0)])
def test_shares_that_do_not_add_up_to_one_are_none(shares):
    with pytest.raises(ValueError, match="1000000"):
        Shares(*shares)


@pytest.mark.parametrize(
    "name", ["lift", "lab/", "Lab/lift", "lab/lift/x", "l/lift", "lab/../x", "lab/lift@1", "lab/-lift"]
)
def test_what_cannot_be_a_name_is_refused_with_how_names_are_written(name):
    with pytest.raises(DatasetNameError, match="lab/lift"):
        require_name(name)
