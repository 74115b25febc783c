"""What the hub itself heard of an episode, what it pays, and when its files were given up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add them; what came before has none of it."""
    op.add_column("tickets", sa.Column("protocol", sa.Integer, nullable=True))
    op.add_column("tickets", sa.Column("price_wei", sa.String(80), nullable=True))
    op.add_column("tickets", sa.Column("ready_ms", sa.BigInteger, nullable=True))
    op.add_column("tickets", sa.Column("finish_ms", sa.BigInteger, nullable=True))
    op.add_column("tickets", sa.Column("ended_ms", sa.BigInteger, nullable=True))
    op.add_column("tickets", sa.Column("ended", sa.JSON, nullable=True))
    op.add_column("episodes", sa.Column("erased_ms", sa.BigInteger, nullable=True))
