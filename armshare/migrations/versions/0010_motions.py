"""What the motions of verified episodes are known by, so that copies are found; the hub fills in earlier ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_CELLS = ("cell_0", "cell_1", "cell_2", "cell_3")


def upgrade() -> None:
    """Add the tables, and which episode a refused copy repeats."""
    op.add_column("episodes", sa.Column("twin", sa.String(64), nullable=True))
    op.create_table(
        "motions",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode"), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=True, unique=True),
    )
    op.create_table(
        "motion_paths",
        sa.Column("episode", sa.String(64), sa.ForeignKey("motions.episode"), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("width", sa.Integer, nullable=False),
        *(sa.Column(cell, sa.Integer, nullable=False) for cell in _CELLS),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.Column("world", sa.LargeBinary, nullable=True),
    )
    op.create_index("ix_motion_paths_cells", "motion_paths", ["kind", "width", *_CELLS])
