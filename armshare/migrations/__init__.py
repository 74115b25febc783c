"""The database's schema, from its first version to the newest (Alembic); every package's tables are made here."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine


def newest() -> str:
    """Return the version of the tables that this program has."""
    return ScriptDirectory(str(Path(__file__).parent)).get_current_head() or ""


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
