"""When a robot's owner removed it from the list."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add it."""
    op.add_column("robots", sa.Column("removed_ms", sa.BigInteger, nullable=True))
