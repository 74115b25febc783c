"""What a hub does beside everything else, and which versions of data sets are released."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("result", sa.JSON, nullable=True),
        sa.Column("bytes", sa.BigInteger, nullable=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=True),
        sa.Column("used_ms", sa.BigInteger, nullable=True),
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "created_ms"])
    op.create_index("ix_jobs_wallet", "jobs", ["wallet", "created_ms"])
    op.create_table(
        "releases",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(81), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("job", sa.String(32), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("released_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("name", "version"),
    )
