"""The first tables of `teleop`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "accounts",
        sa.Column("address", sa.String(42), primary_key=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sign_ins",
        sa.Column("nonce", sa.String(64), primary_key=True),
        sa.Column("address", sa.String(42), nullable=False),
        sa.Column("message", sa.String(2048), nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("address", sa.String(42), sa.ForeignKey("accounts.address"), nullable=False, index=True),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "robots",
        sa.Column("address", sa.String(42), primary_key=True),
        sa.Column("owner", sa.String(42), nullable=False, index=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("signature", sa.String(132), nullable=False),
        sa.Column("descriptor", sa.JSON, nullable=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("lease", sa.String(32), primary_key=True),
        sa.Column("robot", sa.String(42), sa.ForeignKey("robots.address"), nullable=False, index=True),
        sa.Column("operator", sa.String(42), nullable=False, index=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("grant", sa.JSON, nullable=False),
        sa.Column("signature", sa.String(132), nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=True),
        sa.Column("reason", sa.String(32), nullable=True),
    )
    op.create_table(
        "tickets",
        sa.Column("episode", sa.String(32), primary_key=True),
        sa.Column("lease", sa.String(32), sa.ForeignKey("leases.lease"), nullable=False, index=True),
        sa.Column("robot", sa.String(42), nullable=False),
        sa.Column("operator", sa.String(42), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("nonce", sa.String(66), nullable=False),
        sa.Column("issued_ms", sa.BigInteger, nullable=False),
    )
