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


def upgrade() -> None:
    """Add them."""
    op.add_column("tickets", sa.Column("rules", sa.String(16), nullable=True))
