"""Prefect's server with a SQLite database that holds when several runs end together: ``python -m`` with ``server start``.

Prefect 3.8.8 begins its transactions as readers. One that then writes is refused at once with "database is locked" if
another has written meanwhile, whatever the timeout: requests fail, and events are dealt with twice or not at all. Here
transactions take the write lock when they begin, and wait for it. Nor does Prefect heed the size of its connection pool
for SQLite; here it does.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from prefect.cli import app
from prefect.server.database import configurations
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.settings import get_current_settings
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, AsyncSessionTransaction, create_async_engine


def prepare_database() -> None:
    """Makes Prefect's SQLite engines of this process heed ``server.database.sqlalchemy``, and their transactions wait."""
    configurations.create_async_engine = _create_engine  # type: ignore[attr-defined]
    AioSqliteConfiguration.begin_transaction = _begin_transaction  # type: ignore[method-assign,assignment]


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


@asynccontextmanager
async def _begin_transaction(
    configuration: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
) -> AsyncGenerator[AsyncSessionTransaction, None]:
    mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
    try:
        async with session.begin() as transaction:
            yield transaction
    finally:
        SQLITE_BEGIN_MODE.reset(mode)


if __name__ == "__main__":
    prepare_database()
    app()
