"""How often an episode could not be checked, when it is checked again, and whether its operator asked for that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add them."""
    op.add_column("episodes", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.add_column("episodes", sa.Column("next_try_ms", sa.BigInteger, nullable=True))
    op.add_column("episodes", sa.Column("looked_again_ms", sa.BigInteger, nullable=True))
