"""What an operator said at `finish`, who judges real robots' episodes, and what is owed beside an operator's pay."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WEI = sa.String(80)
_ONLY_GROW = {"reviews": "episode = NEW.episode AND reviewer = NEW.reviewer", "owed": "key = NEW.key"}


def upgrade() -> None:
    """Add them."""
    op.add_column("tickets", sa.Column("said", sa.Boolean, nullable=True))
    op.add_column("tickets", sa.Column("shares", sa.JSON, nullable=True))
    _reviews()
    op.create_table(
        "owed",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("address", sa.String(42), nullable=False),
        sa.Column("amount_wei", _WEI, nullable=False),
        sa.Column("owed_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_owed_episode", "owed", ["episode"])
    op.create_table(
        "owed_waiting",
        sa.Column("key", sa.String(200), sa.ForeignKey("owed.key"), primary_key=True),
    )
    for table, there in _ONLY_GROW.items():
        _only_grows(table, there)


def _reviews() -> None:
    op.create_table(
        "under_review",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("author", sa.String(42), nullable=False),
        sa.Column("robot", sa.String(42), nullable=False),
        sa.Column("owner", sa.String(42), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("said", sa.Boolean, nullable=True),
        sa.Column("second", sa.Boolean, nullable=False),
        sa.Column("score", sa.JSON, nullable=False),
        sa.Column("price_wei", _WEI, nullable=False),
        sa.Column("shares", sa.JSON, nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("opened_ms", sa.BigInteger, nullable=False),
        sa.Column("decided_ms", sa.BigInteger, nullable=True),
    )
    op.create_index("ix_under_review_state", "under_review", ["state", "opened_ms"])
    op.create_index("ix_under_review_author", "under_review", ["author", "state"])
    op.create_index("ix_under_review_robot", "under_review", ["robot"])
    op.create_table(
        "review_tasks",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), nullable=False),
        sa.Column("reviewer", sa.String(42), nullable=False),
        sa.Column("truth", sa.Boolean, nullable=True),
        sa.Column("counts", sa.Boolean, nullable=False),
        sa.Column("assigned_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.UniqueConstraint("episode", "reviewer"),
    )
    op.create_index("ix_review_tasks_reviewer", "review_tasks", ["reviewer", "assigned_ms"])
    op.create_table(
        "reviews",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("reviewer", sa.String(42), primary_key=True),
        sa.Column("author", sa.String(42), nullable=False),
        sa.Column("word", sa.Boolean, nullable=True),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("truth", sa.Boolean, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("seen", sa.JSON, nullable=False),
        sa.Column("digest", sa.String(66), nullable=False),
        sa.Column("reviewed_ms", sa.BigInteger, nullable=False),
        sa.Column("signature", sa.String(132), nullable=False),
    )
    op.create_index("ix_reviews_reviewer", "reviews", ["reviewer", "reviewed_ms"])
    op.create_index("ix_reviews_author", "reviews", ["author", "reviewed_ms"])


def _only_grows(table: str, there: str) -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        refused = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in ("update", "delete"):
            op.execute(f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} {refused}")
        found = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {there})"
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {found} {refused}")
    if dialect == "postgresql":  # the function is 0003's
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION armshare_append_only()"
        )
