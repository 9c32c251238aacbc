"""Prefect's database: its settings are there, heeded, and a user's own; its transactions wait for each other."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database import configurations
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.settings import (
    PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW,
    PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE,
    temporary_settings,
)
from sqlalchemy.pool import AsyncAdaptedQueuePool

from lumbargrade.operations.addresses import prefect_environment
from lumbargrade.operations.prefect_server import prepare_database
from lumbargrade.operations.services import ServerSettings, plan_parts

POOL_SIZE, MAX_OVERFLOW = (f"PREFECT_SERVER_DATABASE_SQLALCHEMY_{name}" for name in ("POOL_SIZE", "MAX_OVERFLOW"))


def pool_of(url: str) -> AsyncAdaptedQueuePool:
    async def make() -> AsyncAdaptedQueuePool:
        pool = (await AioSqliteConfiguration(url).engine()).pool
        assert isinstance(pool, AsyncAdaptedQueuePool)
        return pool

    return asyncio.run(make())


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect as the server has it; afterwards as it was."""
    monkeypatch.setattr(configurations, "create_async_engine", configurations.create_async_engine)
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", AioSqliteConfiguration.begin_transaction)
    prepare_database()


@pytest.mark.usefixtures("prepared")
def test_as_many_connections_as_the_settings_say(tmp_path: Path) -> None:
    wanted = {PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE: 60, PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW: 61}
    with temporary_settings(wanted):
        pool = pool_of(f"sqlite+aiosqlite:///{tmp_path}/prefect.db")
        assert (pool.size(), pool._max_overflow) == (60, 61)
        assert pool_of("sqlite+aiosqlite:///file::memory:?cache=shared&uri=true").size() == 1


async def count_up(configuration: AioSqliteConfiguration) -> None:
    """Reads and then writes, as Prefect does when an automation's event is counted."""
    session = await configuration.session(await configuration.engine())
    async with session, configuration.begin_transaction(session):
        (count,) = (await session.execute(sa.text("SELECT count FROM buckets"))).one()
        await asyncio.sleep(0.05)
        await session.execute(sa.text("UPDATE buckets SET count = :count"), {"count": count + 1})


@pytest.mark.usefixtures("prepared")
def test_transactions_that_read_and_then_write_wait_for_each_other(tmp_path: Path) -> None:
    async def count() -> int:
        configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path}/prefect.db")
        engine = await configuration.engine()
        async with engine.begin() as connection:
            await connection.execute(sa.text("CREATE TABLE buckets (count INTEGER)"))
            await connection.execute(sa.text("INSERT INTO buckets VALUES (0)"))
        await asyncio.gather(*(count_up(configuration) for _ in range(8)))
        async with engine.connect() as connection:
            (counted,) = (await connection.execute(sa.text("SELECT count FROM buckets"))).one()
        return int(counted)

    assert asyncio.run(count()) == 8


def test_the_project_sets_what_was_measured_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(POOL_SIZE, raising=False)
    monkeypatch.setenv(MAX_OVERFLOW, "7")
    environment = prefect_environment("http://127.0.0.1:4200/api")
    assert environment[POOL_SIZE] == "60"
    assert MAX_OVERFLOW not in environment, "the user's own"


def test_prefects_server_is_started_so_that_it_heeds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (prefect,) = [part for part in plan_parts(ServerSettings())[1] if part.name == "prefect"]
    assert prefect.command[1:5] == ("-m", "lumbargrade.operations.prefect_server", "server", "start")
