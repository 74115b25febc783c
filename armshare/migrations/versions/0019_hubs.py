"""Several hubs on one database: which there are, whose leases are whose, and at which of them each robot is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0021"
_OPEN = sa.text("ended_ms IS NULL")


def upgrade() -> None:
    """Add them. A lease of a hub that has no name, as all had before, has none."""
    op.create_table(
        "hubs",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("run", sa.String(32), nullable=False),
        sa.Column("address", sa.String(42), nullable=False),
        sa.Column("log", sa.String(200), nullable=False),
        sa.Column("url", sa.String(300), nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
    )
    op.add_column("leases", sa.Column("hub", sa.String(32)))
    op.create_index("ix_leases_open_hub", "leases", ["hub"], postgresql_where=_OPEN, sqlite_where=_OPEN)
    op.add_column("robots", sa.Column("hub", sa.String(32)))
    op.add_column("robots", sa.Column("docked", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("robots", sa.Column("upload_sha256", sa.String(64)))
    op.create_index("ix_robots_upload_sha256", "robots", ["upload_sha256"])
