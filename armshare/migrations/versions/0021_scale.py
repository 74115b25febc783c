"""Indexes and a table by which a hub finds what is still to be done, and what is searched, among a million episodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0018"

_KEY = "CASE WHEN s.rescored THEN 'episode:' || s.episode || ':rules-' || s.version ELSE 'episode:' || s.episode END"
_UNWANTED = "size IS NOT NULL AND state || '' IN ('rejected', 'discarded')"
_UNPAID = f"""
    INSERT INTO unpaid (episode, version, scored_ms) SELECT s.episode, s.version, s.scored_ms FROM scores AS s
    WHERE s.accepted AND coalesce(s.adds_wei, s.pay_wei) <> '0'
    AND NOT EXISTS (SELECT 1 FROM ledger_transactions AS t WHERE t.key = {_KEY})
"""


def upgrade() -> None:
    """Add them; what waits for its pay is found once more among all scores."""
    op.create_index("ix_searched_state", "searched", ["state", "created_ms", "episode"])
    op.create_index("ix_searched_kind", "searched", ["driver_kind", "trust", "model", "state", "created_ms", "episode"])
    _partial("ix_searched_unscored", "searched", ["state", "rules", "episode"], "state = 'verified' AND rules IS NULL")
    _partial("ix_episodes_unwanted", "episodes", ["created_ms"], _UNWANTED)
    _partial("ix_leases_open", "leases", ["lease"], "ended_ms IS NULL")
    op.create_table(
        "unpaid",
        sa.Column("episode", sa.String(64), nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("scored_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("episode", "version"),
        sa.ForeignKeyConstraint(["episode", "version"], ["scores.episode", "scores.version"]),
    )
    op.create_index("ix_unpaid_scored_ms", "unpaid", ["scored_ms"])
    op.get_bind().exec_driver_sql(_UNPAID)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
