"""Private robots and episodes: who may read them, by which keys they are sealed, and who read them when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add them; what is here is not private."""
    for table in ("robots", "episodes", "dataset_versions", "dataset_members"):
        op.add_column(table, sa.Column("private", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_episodes_private",
        "episodes",
        ["episode"],
        sqlite_where=sa.text("private = 1"),
        postgresql_where=sa.text("private"),
    )
    op.add_column("tickets", sa.Column("private", sa.Boolean, nullable=True))
    op.create_table(
        "robot_readers",
        sa.Column("robot", sa.String(42), sa.ForeignKey("robots.address"), primary_key=True),
        sa.Column("wallet", sa.String(42), primary_key=True),
        sa.Column("added_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "episode_keys",
        sa.Column("episode", sa.String(64), primary_key=True),
        sa.Column("master", sa.String(16), nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String(66), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_episode_keys_master", "episode_keys", ["master"])
    op.create_table(
        "episode_uses",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), nullable=False),
        sa.Column("wallet", sa.String(42), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("purpose", sa.String(200), nullable=False),
        sa.Column("first_ms", sa.BigInteger, nullable=False),
        sa.Column("last_ms", sa.BigInteger, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
    )
    op.create_index("ix_episode_uses", "episode_uses", ["episode", "wallet", "what"])
    op.create_table(
        "dataset_readers",
        sa.Column("dataset", sa.Integer, sa.ForeignKey("datasets.id"), primary_key=True),
        sa.Column("wallet", sa.String(42), primary_key=True),
        sa.Column("added_ms", sa.BigInteger, nullable=False),
    )
