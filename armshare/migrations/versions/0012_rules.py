"""Which rules an episode is scored by, as its ticket says; scores that stand beside each other, and what costs what.

What came before has none of it: an episode without rules in its ticket must name none, and a score that says nothing
of what it adds adds its pay.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
_WEI = sa.String(80)
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add them."""
    op.add_column("tickets", sa.Column("rules", sa.String(16), nullable=True))
    op.add_column("ledger_transactions", sa.Column("reason", sa.Text, nullable=True))
    for name in ("costs", "shown", "segments"):
        op.add_column("scores", sa.Column(name, sa.JSON, nullable=True))
    op.add_column("scores", sa.Column("adds_wei", _WEI, nullable=True))
    op.add_column("scores", sa.Column("rescored", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "unscored",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_unscored_next_ms", "unscored", ["next_ms"])
    op.create_table(
        "rescorings",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("task", sa.String(64), nullable=True),
        sa.Column("after_index", sa.BigInteger, nullable=False),
        sa.Column("until_index", sa.BigInteger, nullable=False),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=True),
    )
    _starts()


def _starts() -> None:
    op.create_table(
        "starts",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("task_version", sa.Integer, nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("operator", sa.String(42), nullable=False),
        sa.Column("cell", sa.String(24), nullable=False),
        sa.Column("things_m", sa.JSON, nullable=True),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("score_ppm", sa.Integer, nullable=False),
    )
    like = ["task", "task_version", "model", "simulated", "accepted", "cell", "score_ppm", "operator"]
    op.create_index("ix_starts_like", "starts", like)
