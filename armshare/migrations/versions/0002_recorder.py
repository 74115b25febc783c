"""The tables of `recorder`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "episodes",
        sa.Column("episode", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("robot", sa.String(42), nullable=False, index=True),
        sa.Column("operator", sa.String(42), nullable=False, index=True),
        sa.Column("task", sa.String(64), nullable=False, index=True),
        sa.Column("steps", sa.Integer, nullable=True),
        sa.Column("success", sa.Boolean, nullable=True),
        sa.Column("valid", sa.Boolean, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("digest", sa.String(66), nullable=True, unique=True),
        sa.Column("content_root", sa.String(66), nullable=True, index=True),
        sa.Column("verified_root", sa.String(66), nullable=True, unique=True),
        sa.Column("previous", sa.String(66), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("size", sa.BigInteger, nullable=True),
        sa.Column("manifest", sa.Text, nullable=True),
        sa.Column("robot_signature", sa.String(132), nullable=True),
        sa.Column("operator_signature", sa.String(132), nullable=True),
        sa.Column("receipt", sa.JSON, nullable=True),
        sa.Column("log_index", sa.BigInteger, nullable=True, unique=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_episodes_created", "episodes", ["created_ms", "episode"])
    op.create_index("ix_episodes_previous", "episodes", ["robot", "previous"])
    op.create_table(
        "uploads",
        sa.Column("upload", sa.String(32), primary_key=True),
        sa.Column("episode", sa.String(64), nullable=False, unique=True),
        sa.Column("robot", sa.String(42), nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    head = op.create_table(
        "log_head",
        sa.Column("log", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(head, [{"log": 0, "size": 0}])
    op.create_table(
        "log_entries",
        sa.Column("log_index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("episode", sa.String(64), nullable=False, unique=True),
        sa.Column("entry", sa.LargeBinary(32), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "log_nodes",
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("node_index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
    )
