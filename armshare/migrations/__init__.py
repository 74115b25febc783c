"""The database's schema, from its first version to the newest (Alembic); every package's tables are made here."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine


def newest() -> str:
    """Return the version of the tables that this program has."""
    return ScriptDirectory(str(Path(__file__).parent)).get_current_head() or ""


def is_newest(engine: Engine) -> bool:
    """Whether the database has the newest schema."""
    with engine.connect() as connection:
        here = MigrationContext.configure(connection).get_current_heads()
    return set(here) == {newest()}


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
