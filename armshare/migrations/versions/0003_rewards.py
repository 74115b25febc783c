"""The tables of `rewards`, and the triggers that keep scores and the ledger append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WEI = sa.String(80)


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "scores",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("version", sa.String(16), primary_key=True),
        sa.Column("score_ppm", sa.Integer, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("vector", sa.JSON, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("operator", sa.String(42), nullable=False),
        sa.Column("price_wei", _WEI, nullable=False),
        sa.Column("pay_wei", _WEI, nullable=False),
        sa.Column("scored_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "ledger_transactions",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.String(200), nullable=False, unique=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("episode", sa.String(64), nullable=True, index=True),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "ledger_postings",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("transaction_id", _ID, sa.ForeignKey("ledger_transactions.id"), nullable=False, index=True),
        sa.Column("account", sa.String(120), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("amount_wei", _WEI, nullable=False),
        sa.Column("balance_wei", _WEI, nullable=False),
        sa.UniqueConstraint("account", "sequence"),
    )
    op.create_table(
        "payout_roots",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("root", sa.String(66), nullable=False, unique=True),
        sa.Column("total_wei", _WEI, nullable=False),
        sa.Column("payees", sa.Integer, nullable=False),
        sa.Column("log_size", sa.BigInteger, nullable=False),
        sa.Column("log_hash", sa.String(66), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("chain_index", sa.Integer, nullable=True),
        sa.Column("transaction", sa.String(66), nullable=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "payout_leaves",
        sa.Column("address", sa.String(42), primary_key=True),
        sa.Column("position", sa.Integer, sa.ForeignKey("payout_roots.position"), primary_key=True),
        sa.Column("cumulative_wei", _WEI, nullable=False),
    )
    for table in ("scores", "ledger_transactions", "ledger_postings", "payout_leaves"):
        _only_grows(table)


def _only_grows(table: str) -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    if dialect == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION armshare_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION armshare_append_only()"
        )
