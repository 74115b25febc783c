"""Which gates refused a score, by name. What was scored before names none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add them."""
    op.add_column("scores", sa.Column("refused", sa.JSON, nullable=True))
