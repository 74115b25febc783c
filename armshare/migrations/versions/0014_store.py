"""Files in a bucket: which objects there are, which file of which episode has which, and the pieces of uploads.

A hub that keeps its files in a folder has no rows here: the folder says it all.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "stored_objects",
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_stored_objects_sha256", "stored_objects", ["sha256"])
    op.create_index("ix_stored_objects_state", "stored_objects", ["state"])
    op.create_table(
        "stored_files",
        sa.Column("episode", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(128), sa.ForeignKey("stored_objects.key"), nullable=False),
    )
    op.create_index("ix_stored_files_key", "stored_files", ["key"])
    op.create_table(
        "upload_pieces",
        sa.Column("upload", sa.String(32), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
    )
