"""Prefect's server with as many connections to its database as its settings say: ``python -m`` with ``server start``.

Prefect 3.8.8 heeds the size of the pool for PostgreSQL only. With SQLAlchemy's 5 + 10 connections its SQLite server locks
itself up when a few runs end together: who holds the write lock waits for a connection, and those who have one wait for
the lock, for a minute.
"""

from typing import Any

from prefect.cli import app
from prefect.server.database import configurations
from prefect.settings import get_current_settings
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def use_pool_settings() -> None:
    """Makes Prefect's SQLite engines heed ``server.database.sqlalchemy``, in this process."""
    configurations.create_async_engine = _create_engine  # type: ignore[attr-defined]


def _create_engine(url: Any, **options: Any) -> AsyncEngine:
    if make_url(url).get_backend_name() == "sqlite" and "poolclass" not in options:  # in memory there is one connection
        settings = get_current_settings().server.database.sqlalchemy
        sizes = {
            "pool_size": settings.pool_size,
            "max_overflow": settings.max_overflow,
            "pool_timeout": settings.pool_timeout,
        }
        options = {**sizes, **options}
    return create_async_engine(url, **options)


if __name__ == "__main__":
    use_pool_settings()
    app()
