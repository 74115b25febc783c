"""Data sets: namespaces, versions, members, withdrawals, cards; and what reads an episode's file once for all cards.

All but the last only grow. Tables that only grow refuse SQLite's INSERT OR REPLACE too, earlier ones among them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_EARLIER = {
    "scores": "episode = NEW.episode AND version = NEW.version",
    "practices": "episode = NEW.episode",
    "ledger_transactions": "id = NEW.id OR key = NEW.key",
    "ledger_postings": "id = NEW.id OR account = NEW.account AND sequence = NEW.sequence",
    "payout_leaves": "address = NEW.address AND position = NEW.position",
}
_OURS = {
    "dataset_namespaces": "namespace = NEW.namespace",
    "datasets": "id = NEW.id OR name = NEW.name",
    "dataset_versions": "dataset = NEW.dataset AND version = NEW.version OR digest = NEW.digest",
    "dataset_members": "dataset = NEW.dataset AND place = NEW.place",
    "dataset_removals": "dataset = NEW.dataset AND place = NEW.place",
    "dataset_contents": ("dataset = NEW.dataset AND version = NEW.version AND kind = NEW.kind AND value = NEW.value"),
    "withdrawals": "episode = NEW.episode",
    "dataset_cards": "digest = NEW.digest",
}


def upgrade() -> None:
    """Create them."""
    _sets()
    _members()
    _beside()
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _OURS:
        _only_grows(table)
    for table, there in (_EARLIER | _OURS).items() if sqlite else ():
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {there}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _sets() -> None:
    op.create_table(
        "dataset_namespaces",
        sa.Column("namespace", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(42), nullable=False, index=True),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "datasets",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("name", sa.String(81), nullable=False, unique=True),
        sa.Column(
            "namespace", sa.String(40), sa.ForeignKey("dataset_namespaces.namespace"), nullable=False, index=True
        ),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("dataset", _ID, sa.ForeignKey("datasets.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("licence", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(42), nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("merged", sa.JSON, nullable=False),
        sa.Column("train_ppm", sa.Integer, nullable=False),
        sa.Column("validation_ppm", sa.Integer, nullable=False),
        sa.Column("test_ppm", sa.Integer, nullable=False),
        sa.Column("episodes", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
    )


def _members() -> None:
    op.create_table(
        "dataset_members",
        sa.Column("dataset", _ID, sa.ForeignKey("datasets.id"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("added", sa.Integer, nullable=False),
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), nullable=False, index=True),
        sa.Column("digest", sa.String(66), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("start", sa.String(64), nullable=False),
        sa.Column("motion", sa.String(64), nullable=True),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_dataset_members_start", "dataset_members", ["dataset", "start"])
    op.create_index("ix_dataset_members_motion", "dataset_members", ["dataset", "motion"])
    op.create_table(
        "dataset_removals",
        sa.Column("dataset", _ID, sa.ForeignKey("datasets.id"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "dataset_contents",
        sa.Column("dataset", _ID, sa.ForeignKey("datasets.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("value", sa.String(64), primary_key=True),
        sa.Column("episodes", sa.Integer, nullable=False),
    )
    op.create_index("ix_dataset_contents_value", "dataset_contents", ["kind", "value"])


def _beside() -> None:
    op.create_table(
        "withdrawals",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("operator", sa.String(42), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("withdrawn_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "dataset_cards",
        sa.Column("digest", sa.String(64), sa.ForeignKey("dataset_versions.digest"), primary_key=True),
        sa.Column("card", sa.LargeBinary, nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "episode_facts",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("facts", sa.LargeBinary, nullable=False),
    )


def _only_grows(table: str) -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    if dialect == "postgresql":  # the function is 0003's
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION armshare_append_only()"
        )
