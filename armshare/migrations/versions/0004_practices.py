"""The practice drives of wallets that are not qualified yet; the table is append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "practices",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("operator", sa.String(42), nullable=False, index=True),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("checks", sa.JSON, nullable=False),
        sa.Column("checked_ms", sa.BigInteger, nullable=False),
    )
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER practices_no_{verb} BEFORE {verb.upper()} ON practices "
                "BEGIN SELECT RAISE(ABORT, 'practices is append-only'); END"
            )
    if dialect == "postgresql":  # the function is 0003's
        op.execute(
            "CREATE TRIGGER practices_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON practices "
            "FOR EACH STATEMENT EXECUTE FUNCTION armshare_append_only()"
        )
