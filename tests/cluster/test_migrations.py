"""Migrations run on the primary over a direct connection: not through PgBouncer, and not on a replica."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from tests.cluster.clusters import Cluster, Process, find_pgbouncer, free_port
from tests.migrations import ROOT

pytestmark = pytest.mark.timeout(120)

POOLER = "Migrations need a direct connection to PostgreSQL, and DATABASE_URL names a pooler: name the server itself.\n"
STANDBY = "Migrations need the primary, and DATABASE_URL names a standby, which is read-only: name the primary.\n"


async def run_failing_migrator(url: str, *arguments: str) -> str:
    """Run a migrator that fails; returns its error output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "graphql_api", "migrate", *arguments),
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, error_output = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    return error_output.decode()


async def test_a_pgbouncer_is_refused(cluster: Cluster) -> None:
    before = cluster.primary.sql("SELECT version_num FROM graphql_api_version")

    assert await run_failing_migrator(cluster.url(cluster.pooler_port)) == POOLER
    assert await run_failing_migrator(cluster.url(cluster.pooler_port), "--down", "base") == POOLER
    assert cluster.primary.sql("SELECT version_num FROM graphql_api_version") == before


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_a_pgbouncer_that_accepts_every_setting_is_refused_too(cluster: Cluster, mode: str) -> None:
    port = free_port()
    settings = (cluster.folder / "pgbouncer.ini").read_text()
    settings = settings.replace(f"listen_port = {cluster.pooler_port}", f"listen_port = {port}")
    settings = settings.replace("pool_mode = transaction", f"pool_mode = {mode}")
    settings = settings.replace(
        "extra_float_digits,jit", "lock_timeout,statement_timeout,client_connection_check_interval"
    )
    file = cluster.folder / f"{mode}.ini"
    file.write_text(settings.replace("pgbouncer.log", f"pgbouncer.{mode}.log"))
    file.chmod(0o644)
    pooler: Process = cluster.spawn(str(find_pgbouncer()), "-q", str(file), log=mode)
    try:
        await wait_until_listening(port)
        assert await run_failing_migrator(cluster.url(port)) == POOLER
    finally:
        pooler.stop()
    assert cluster.primary.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0"


async def test_a_replica_is_refused(cluster: Cluster) -> None:
    assert await run_failing_migrator(cluster.url(cluster.replica.port)) == STANDBY


async def wait_until_listening(port: int) -> None:
    """Wait until a port accepts connections."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
