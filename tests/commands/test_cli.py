"""The commands: real processes, and a real database."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.settings import asyncpg_url
from tests.builders import Builders
from tests.dev_server import ROOT, free_port
from tests.models.databases import cloned, scratch_database
from tests.waiting import WAIT_TIMEOUT_SECONDS, attempts

pytestmark = pytest.mark.timeout(900)

SECRETS = {"SECRET_KEY": "a", "DANGEROUS_SALT": "b"}


def environment(**values: str) -> dict[str, str]:
    """The environment without the settings of this project, except these."""
    names = ("DATABASE_URL", "SECRET_KEY", "DANGEROUS_SALT", "ENVIRONMENT", "PORT", "HOST", "DATA_DIR")
    return {name: value for name, value in os.environ.items() if name not in names} | values


def command(*words: str, **values: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "graphql_api", *words],
        cwd=ROOT,
        env=environment(**values),
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_TIMEOUT_SECONDS,
    )


@dataclass
class Running:
    """A command that runs until it is stopped, and its output."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def output(self) -> str:
        """The output so far."""
        return self.log.read_text()

    def wait_for(self, text: str) -> None:
        """Wait for a text in the output."""
        for _ in attempts():
            if text in self.output:
                break
            assert self.process.poll() is None or text in self.output, self.output

    def wait_for_port(self, port: str) -> Any:
        """Wait until the server responds; return its status."""
        for _ in attempts():
            assert self.process.poll() is None, self.output
            with contextlib.suppress(httpx2.TransportError):
                return httpx2.get(f"http://127.0.0.1:{port}/_status", timeout=WAIT_TIMEOUT_SECONDS).json()
        return None

    def descendants(self) -> dict[int, list[str]]:
        """All descendant processes by pid, with their command lines."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        pids, level = set(), {self.process.pid}
        while level:
            level = {child for child, parent in parents.items() if parent in level}
            pids |= level
        return {pid: words for pid in pids if (words := _words(pid))}

    def end(self, number: int) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_TIMEOUT_SECONDS)


def _words(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    return []


@contextlib.contextmanager
def running(log: Path, *words: str, **values: str) -> Iterator[Running]:
    """Start a command; kill it at the end if it still runs."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "graphql_api", *words],
            cwd=ROOT,
            env=environment(**values),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def all_exit(processes: dict[int, list[str]]) -> bool:
    """Wait until all processes have exited."""
    return any(not any(_words(pid) == words for pid, words in processes.items()) for _ in attempts())


def ask(url: str, query: str, token: str) -> Any:
    """The data of a query."""
    headers = {"authorization": f"Bearer {token}"}
    response = httpx2.post(url, json={"query": query}, headers=headers, timeout=WAIT_TIMEOUT_SECONDS).json()
    assert "errors" not in response, response
    return response["data"]


def test_dev_starts_everything_and_stops_everything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    values = {"DATA_DIR": str(data), "PORT": str(free_port()), "DEMO_NOTIFICATIONS": "300"}
    with running(tmp_path / "first.log", "dev", **values) as dev:
        dev.wait_for("Ctrl-C stops everything")
        dev_json = json.loads((data / "dev.json").read_text())
        base = f"http://127.0.0.1:{values['PORT']}"

        assert list(dev_json) == [
            "graphql_url", "explorer_url", "database_url", "tokens", "service_id", "template_ids", "api_key",
        ]  # fmt: skip
        assert (dev_json["graphql_url"], dev_json["explorer_url"]) == (f"{base}/graphql", f"{base}/")
        assert list(dev_json["tokens"]) == ["platform_admin", "service_manager", "service_viewer"]
        for token in (*dev_json["tokens"].values(), dev_json["api_key"]):
            result = ask(dev_json["graphql_url"], f'{{ service(id: "{dev_json["service_id"]}") {{ id }} }}', token)
            assert result == {"service": {"id": dev_json["service_id"]}}
        for template_id in dev_json["template_ids"].values():
            result = ask(dev_json["graphql_url"], f'{{ template(id: "{template_id}") {{ id }} }}', dev_json["api_key"])
            assert result == {"template": {"id": template_id}}
        assert dev_json["tokens"]["service_manager"] in httpx2.get(dev_json["explorer_url"]).text
        modes = {stat.S_IMODE((data / name).stat().st_mode) for name in ("dev.json", "secrets.json")}
        assert modes == {0o600}

        elsewhere = values | {"PORT": str(free_port())}
        with running(tmp_path / "beside.log", "dev", **elsewhere) as other:
            other.wait_for("Another ./run dev uses the data in")
        assert json.loads((data / "dev.json").read_text()) == dev_json

        processes = dev.descendants()
        (worker,) = [pid for pid, words in processes.items() if "work" in words]
        os.kill(worker, signal.SIGKILL)
        dev.wait_for("The worker has exited")
        assert httpx2.get(f"{base}/_status").status_code == 200

        assert dev.end(signal.SIGTERM) == 0
        assert dev.output.endswith("Stopped.\n")
        assert all_exit(processes)

    with running(tmp_path / "second.log", "dev", **values) as dev:
        dev.wait_for("Ctrl-C stops everything")
        second_json = json.loads((data / "dev.json").read_text())
        stable_names = ("tokens", "service_id", "template_ids", "api_key")
        assert {name: second_json[name] for name in stable_names} == {name: dev_json[name] for name in stable_names}
        assert "Creating demo data" not in dev.output
        processes = dev.descendants()
        assert any("work" in words for words in processes.values())

        dev.end(signal.SIGKILL)
        assert all_exit(processes)


def test_dev_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    values = {"DATA_DIR": str(tmp_path / "data"), "PORT": str(free_port()), "DEMO_NOTIFICATIONS": "300"}
    with running(tmp_path / "log", "dev", **values) as dev:
        dev.wait_for("Starting PostgreSQL")
        for _ in attempts():
            if processes := dev.descendants():
                break
        dev.end(signal.SIGINT)

        assert "Traceback" not in dev.output
        assert all_exit(processes)


def test_a_port_in_use_is_one_sentence(tmp_path: Path, database_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        message = f"Port {port} of 127.0.0.1 is in use: stop the process that listens there, or set another PORT.\n"

        for words in (["dev"], ["serve"], ["serve", "--workers", "2"]):
            done = command(*words, PORT=port, DATABASE_URL=database_url, DATA_DIR=str(tmp_path), **SECRETS)
            assert (done.returncode, done.stderr, done.stdout) == (1, message, "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Set DATABASE_URL, or use `./run dev`, which starts a PostgreSQL of its own.\n"),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1/x", "DANGEROUS_SALT": "b"},
         "Set SECRET_KEY: a long random value, or a JSON list of them of which the first signs.\n"),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1/x", "SECRET_KEY": "a"},
         "Set DANGEROUS_SALT: a random value that never changes.\n"),
        ({"DATABASE_URL": "oops", **SECRETS}, "DATABASE_URL must be like postgresql://user:password@host/database.\n"),
        ({"PORT": "x"},
         "Invalid settings. PORT: Input should be a valid integer, unable to parse string as an integer.\n"),
        ({"CORS_ORIGINS": "https://www.example.gov.uk"}, "Invalid settings. CORS_ORIGINS: Input should be JSON.\n"),
        ({"PORT": "70000", "DATABASE_URL": "postgresql://x@127.0.0.1/x", **SECRETS},
         "PORT must be between 0 and 65535.\n"),
    ],
    ids=["DATABASE_URL", "SECRET_KEY", "DANGEROUS_SALT", "no URL", "no number", "no JSON", "no port"],
)  # fmt: skip
def test_an_invalid_or_missing_setting_is_one_sentence(values: dict[str, str], message: str) -> None:
    done = command("serve", **values)

    assert (done.returncode, done.stderr, done.stdout) == (1, message, "")


def test_other_commands_report_settings_the_same_way() -> None:
    done = command("migrate", DATABASE_URL="mysql://x@127.0.0.1/x")
    assert (done.returncode, done.stderr) == (
        1,
        "DATABASE_URL must be like postgresql://user:password@host/database.\n",
    )

    done = command("dev", PORT="x")
    assert done.returncode == 1
    assert (
        done.stderr
        == "Invalid settings. PORT: Input should be a valid integer, unable to parse string as an integer.\n"
    )


def test_a_missing_setting_of_the_worker_is_one_sentence(postgres_url: str) -> None:
    done = command("work", DATABASE_URL=postgres_url, ENVIRONMENT="production", **SECRETS)
    assert done.stderr == (
        "Set SMS_GATEWAY, EMAIL_GATEWAY, LETTER_GATEWAY: gateways must be chosen in production. `fake` sends nothing.\n"
    )

    done = command("work", DATABASE_URL=postgres_url, ENVIRONMENT="test", **SECRETS)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "The database is not migrated: run ./run migrate first."


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("dev", DATA_DIR=str(tmp_path / "file" / "data"), PORT=str(free_port()))

    assert done.returncode == 1
    assert done.stderr == f"The folder {tmp_path}/file/data cannot be written to (Not a directory): set DATA_DIR.\n"


def test_several_processes_serve_one_port(tmp_path: Path, database_url: str) -> None:
    port = str(free_port())
    with running(
        tmp_path / "log",
        "serve",
        "--workers",
        "2",
        PORT=port,
        DATABASE_URL=database_url,
        DATA_DIR=str(tmp_path),
        **SECRETS,
    ) as server:
        status = server.wait_for_port(port)
        processes = server.descendants()

        assert status["status"] == "ok"
        assert server.end(signal.SIGTERM) == 0
        assert all_exit(processes)
        for line in server.output.splitlines():
            json.loads(line)


async def test_several_processes_share_metrics_and_lose_no_counts_at_the_end(tmp_path: Path, postgres_url: str) -> None:
    async with cloned(postgres_url) as url:
        database = Database(create_async_engine(asyncpg_url(url)))
        make = Builders(database, Signer((b"a",), b"b"))
        key = await make.api_key(await make.service(), secret=str(uuid4()))
        token = f"{key.service_id}-{Signer((b'a',), b'b').unsign(key.secret)}"
        metrics = await asyncio.to_thread(count_together, tmp_path, url, token)
        async with database.read_connection() as connection:
            counts = (await connection.execute(text("SELECT requests, succeeded FROM api_key_usage_daily"))).all()
        await database.close()

    assert metrics == [
        'graphql_operations_total{operation="Mine",outcome="ok"} 60.0',
        'http_requests_total{method="POST",path="/graphql",status="200"} 60.0',
    ]
    assert counts == [(61, 61)]


def count_together(folder: Path, url: str, token: str) -> list[str]:
    """Send 60 queries to two processes, one connection each; read the metrics; send one more before the end."""
    port, words = str(free_port()), ("serve", "--workers", "2")
    values = {"PORT": port, "DATABASE_URL": url, "DATA_DIR": str(folder), "METRICS_TOKEN": "operators"} | SECRETS
    with running(folder / "log", *words, **values) as server:
        server.wait_for_port(port)
        body = {"query": "query Mine { viewer { service { id } } }"}
        headers = {"authorization": f"Bearer {token}", "connection": "close"}
        for _ in range(60):
            post_operation(port, body, headers)
        # Each process flushes its metrics every few seconds.
        for _ in attempts():
            if all(sample.endswith(" 60.0") for sample in read_counts(port)):
                break
        samples = [read_counts(port) for _ in range(4)]
        post_operation(port, body, headers)
        assert server.end(signal.SIGTERM) == 0
    assert samples == [samples[0]] * 4
    return samples[0]


def post_operation(port: str, body: dict[str, str], headers: dict[str, str]) -> None:
    """Post an operation, and assert that it succeeds."""
    response = httpx2.post(f"http://127.0.0.1:{port}/graphql", json=body, headers=headers, timeout=WAIT_TIMEOUT_SECONDS)
    assert response.status_code == 200


def read_counts(port: str) -> list[str]:
    """The samples of operations and of POST requests of all processes, as one of them shows them."""
    operators = {"authorization": "Bearer operators", "connection": "close"}
    text = httpx2.get(f"http://127.0.0.1:{port}/metrics", headers=operators, timeout=WAIT_TIMEOUT_SECONDS).text
    assert 'db_connection_total_connected{bind="default"' in text
    prefixes = ("graphql_operations_total{", 'http_requests_total{method="POST"')
    return sorted(line for line in text.splitlines() if line.startswith(prefixes))


def test_a_database_is_migrated_and_checked(database_url: str) -> None:
    done = command("migrate", DATABASE_URL=database_url)
    checked = command("migrate", "--check", DATABASE_URL=database_url)

    assert (done.returncode, checked.returncode) == (0, 0), done.stderr + checked.stderr
    assert done.stdout.startswith("The database is at revision 00")
    assert checked.stdout == done.stdout.replace(".", ": nothing to do.")


async def test_a_check_lists_what_a_migration_would_do_and_fails(postgres_url: str) -> None:
    async with scratch_database(postgres_url) as url:
        checked = await asyncio.to_thread(command, "migrate", "--check", DATABASE_URL=url)

    assert (checked.returncode, checked.stderr) == (1, "")
    first, second, *_ = checked.stdout.splitlines()
    assert first == "The database is empty. To come:"
    assert second == "0001 Add users and verification codes"


def test_the_migrations_are_printed_as_sql() -> None:
    done = command("migrate", "--sql")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("-- The statements of ./run migrate")
    assert "CREATE TABLE graphql_api_version" in done.stdout
    assert "CREATE TABLE notifications" in done.stdout


def test_the_schema_is_printed() -> None:
    done = command("schema")

    assert done.stdout == (ROOT / "schema" / "schema.graphql").read_text()


@pytest.mark.parametrize("name", ["", "dev", "serve", "work", "migrate", "seed", "schema"])
def test_every_command_has_help(name: str) -> None:
    done = command(*name.split(), "--help")

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: ./run {name}".rstrip())


def test_an_unavailable_database_is_one_sentence() -> None:
    done = command("migrate", DATABASE_URL="postgresql://someone:secret@127.0.0.1:1/x")

    assert done.returncode == 1
    assert done.stderr.startswith("The database of DATABASE_URL cannot be reached (")
    assert "secret" not in done.stderr
