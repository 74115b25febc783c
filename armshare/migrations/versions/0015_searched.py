"""What episodes are searched by: one narrow row for each, which the database itself keeps as the episode is.

Of what is there already, the model and the length come from the manifests, the rest from scores and practice drives.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_COPIED = (
    "state",
    "robot",
    "operator",
    "task",
    "model",
    "driver_kind",
    "trust",
    "success",
    "created_ms",
    "duration_ms",
)
_PARTS = (
    "success",
    "object_path",
    "order",
    "pace",
    "flow",
    "control",
    "path_efficiency",
    "smoothness",
    "idle",
    "tracking",
)
_VERSIONS = ("1", "2", "3")
_MODEL_MAX, _DURATION_MAX_MS, _BATCH = 64, 10**12, 1000

_episodes = sa.table("episodes", *(sa.column(name) for name in ("episode", "manifest", "model", "duration_ms")))
_scores = sa.table(
    "scores",
    *(sa.column(name) for name in ("episode", "version", "score_ppm")),
    sa.column("accepted", sa.Boolean),
    sa.column("vector", sa.JSON),
)
_searched = sa.table(
    "searched",
    *(sa.column(name) for name in ("episode", "rules", "score_ppm", *(f"{part}_ppm" for part in _PARTS))),
    sa.column("accepted", sa.Boolean),
    sa.column("practice", sa.Boolean),
)
_practices = sa.table("practices", sa.column("episode"))


def upgrade() -> None:
    """Add the columns and the table, fill them, and from then on have the database do that."""
    op.add_column("episodes", sa.Column("model", sa.String(64), nullable=True))
    op.add_column("episodes", sa.Column("duration_ms", sa.BigInteger, nullable=True))
    op.create_table(
        "searched",
        sa.Column("episode", sa.String(64), sa.ForeignKey("episodes.episode", ondelete="CASCADE"), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("robot", sa.String(42), nullable=False),
        sa.Column("operator", sa.String(42), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=True),
        sa.Column("driver_kind", sa.String(8), nullable=True),
        sa.Column("trust", sa.String(16), nullable=True),
        sa.Column("success", sa.Boolean, nullable=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=True),
        sa.Column("practice", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("rules", sa.String(16), nullable=True),
        sa.Column("score_ppm", sa.Integer, nullable=True),
        sa.Column("accepted", sa.Boolean, nullable=True),
        *(sa.Column(f"{part}_ppm", sa.Integer, nullable=True) for part in _PARTS),
    )
    _fill()
    op.create_index("ix_searched_created", "searched", ["created_ms", "episode"])
    op.create_index("ix_searched_score", "searched", ["score_ppm", "episode"])
    op.create_index("ix_searched_duration", "searched", ["duration_ms", "episode"])
    op.create_index("ix_searched_task", "searched", ["task", "state", "created_ms", "episode"])
    op.create_index("ix_searched_operator", "searched", ["operator", "state", "created_ms", "episode"])
    op.create_index("ix_searched_robot", "searched", ["robot", "state", "created_ms", "episode"])
    _copy()


def _fill() -> None:
    db = op.get_bind()
    _fill_episodes(db)
    names = ", ".join(("episode", *_COPIED))
    db.execute(sa.text(f"INSERT INTO searched ({names}) SELECT {names} FROM episodes"))
    _fill_scores(db)
    practised = _searched.c.episode.in_(sa.select(_practices.c.episode))
    db.execute(sa.update(_searched).where(practised).values(practice=True))


def _fill_episodes(db: sa.Connection) -> None:
    """Read what the manifests say, some at a time."""
    said = sa.update(_episodes).where(_episodes.c.episode == sa.bindparam("of"))
    after = ""
    while True:
        wanted = sa.select(_episodes.c.episode, _episodes.c.manifest)
        wanted = wanted.where(_episodes.c.episode > after, _episodes.c.manifest.is_not(None))
        rows = db.execute(wanted.order_by(_episodes.c.episode).limit(_BATCH)).all()
        if not rows:
            return
        values = [{"of": row.episode, "m": model, "d": took} for row in rows for model, took in [_read(row.manifest)]]
        db.execute(said.values(model=sa.bindparam("m"), duration_ms=sa.bindparam("d")), values)
        after = rows[-1].episode


def _read(manifest: str) -> tuple[str | None, int | None]:
    """Return the model and the length, as `recorder.hub.records` keeps those of an episode that is sealed now."""
    try:
        said = json.loads(manifest)
        model, simulated = said["robot"]["model"], said["robot"]["simulated"]
        took_ms = (
            1000 * said["steps"] / said["control_hz"] if simulated else int(said["ended_ms"]) - int(said["started_ms"])
        )
        named = model if 0 < len(model) <= _MODEL_MAX and model.isprintable() else None
        return named, round(min(max(0, took_ms), _DURATION_MAX_MS))
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        return None, None


def _fill_scores(db: sa.Connection) -> None:
    """Keep the newest score of each; a version that nobody knows here is older than all."""
    said = sa.update(_searched).where(_searched.c.episode == sa.bindparam("of"))
    after = ""
    while True:
        some = sa.select(_scores.c.episode).where(_scores.c.episode > after).distinct()
        episodes = db.scalars(some.order_by(_scores.c.episode).limit(_BATCH)).all()
        if not episodes:
            return
        newest: dict[str, Any] = {}
        for row in db.execute(sa.select(_scores).where(_scores.c.episode.in_(episodes))):
            there = newest.get(row.episode)
            if there is None or _age(row.version) > _age(there.version):
                newest[row.episode] = row
        db.execute(
            said.values(**{name: sa.bindparam(name) for name in _VALUES}), [_score(row) for row in newest.values()]
        )
        after = episodes[-1]


_VALUES = ("rules", "score_ppm", "accepted", *(f"{part}_ppm" for part in _PARTS))


def _age(version: str) -> int:
    return _VERSIONS.index(version) if version in _VERSIONS else -1


def _score(row: Any) -> dict[str, Any]:
    parts = {f"{part}_ppm": None if part not in row.vector else round(row.vector[part] * 1_000_000) for part in _PARTS}
    return {"of": row.episode, "rules": row.version, "score_ppm": row.score_ppm, "accepted": row.accepted, **parts}


def _copy() -> None:
    """Have the database copy what an episode says into the row that is searched, in the same transaction."""
    names, new = ", ".join(("episode", *_COPIED)), ", ".join(f"NEW.{name}" for name in ("episode", *_COPIED))
    inserted = f"INSERT INTO searched ({names}) VALUES ({new})"
    updated = f"UPDATE searched SET {', '.join(f'{name} = NEW.{name}' for name in _COPIED)} WHERE episode = NEW.episode"
    for name, verb, statement in (
        ("insert", "INSERT", inserted),
        ("update", f"UPDATE OF {', '.join(_COPIED)}", updated),
    ):
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"CREATE TRIGGER episodes_searched_{name} AFTER {verb} ON episodes BEGIN {statement}; END")
        else:
            op.execute(
                f"CREATE OR REPLACE FUNCTION armshare_searched_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {statement}; RETURN NULL; END $$"
            )
            op.execute(
                f"CREATE TRIGGER episodes_searched_{name} AFTER {verb} ON episodes "
                f"FOR EACH ROW EXECUTE FUNCTION armshare_searched_{name}()"
            )
