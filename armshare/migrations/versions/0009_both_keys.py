"""The nonces of registrations, and what proves that the robot's own key signed one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add them; robots of earlier releases stay registered, without such a proof."""
    op.create_table(
        "robot_challenges",
        sa.Column("nonce", sa.String(66), primary_key=True),
        sa.Column("robot", sa.String(42), nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
    )
    op.add_column("robots", sa.Column("robot_signature", sa.String(132), nullable=True))
    op.add_column("robots", sa.Column("nonce", sa.String(66), nullable=True))
    op.add_column("robots", sa.Column("issued_ms", sa.BigInteger, nullable=True))
