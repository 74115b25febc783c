"""What a hub knew of an episode when it asked for it, when it was sealed, and what it can be trusted for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add them; what came before has none of it, and keeps its verdict."""
    op.create_table(
        "descriptions",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("described", sa.JSON, nullable=False),
    )
    with op.batch_alter_table("tickets") as tickets:
        tickets.add_column(sa.Column("model", sa.String(64), nullable=True))
        tickets.add_column(sa.Column("simulated", sa.Boolean, nullable=True))
        tickets.add_column(sa.Column("description", sa.String(64), nullable=True))
        tickets.create_foreign_key("fk_tickets_description", "descriptions", ["description"], ["sha256"])
    op.add_column("episodes", sa.Column("sealed_ms", sa.BigInteger, nullable=True))
    op.add_column("episodes", sa.Column("trust", sa.String(16), nullable=True))
