"""Who or what drove: as its operator said when an episode began, and as the episode says. Nobody said it before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add it to tickets and to episodes."""
    op.add_column("tickets", sa.Column("driver", sa.JSON, nullable=True))
    op.add_column("episodes", sa.Column("driver_kind", sa.String(8), nullable=True))
    op.add_column("episodes", sa.Column("driver_name", sa.String(200), nullable=True))
    op.add_column("episodes", sa.Column("driver_sha256", sa.String(64), nullable=True))
    op.create_index("ix_episodes_driver_kind", "episodes", ["driver_kind"])
