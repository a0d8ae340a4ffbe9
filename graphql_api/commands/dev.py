"""`./run dev`: PostgreSQL, migrations, demo data, server and worker, started and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from graphql_api import app, migrate, models, postgres
from graphql_api import seed as demo
from graphql_api.auth import tokens
from graphql_api.auth.crypto import Signer
from graphql_api.commands.serve import listen, uvicorn_config
from graphql_api.commands.terminal import echo
from graphql_api.database.database import Database
from graphql_api.domain import sessions
from graphql_api.errors import CommandError
from graphql_api.gateways.object_store import Store
from graphql_api.observability import logs
from graphql_api.settings import Settings, read_settings

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from uuid import UUID

ROOT = Path(__file__).resolve().parents[2]
INTERNAL_CLIENT_NAME = "notify-admin"
DEMO_SESSION_LIFETIME = timedelta(days=365)
"""Lifetime of the demo users' tokens, used or not."""
WORKER_STOP_TIMEOUT_SECONDS = 15
"""Seconds in which the worker may finish its current tasks."""


def run() -> None:
    """Start everything, wait for Ctrl-C or SIGTERM, and stop everything; raises CommandError."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    settings = prepare_environment()
    with ExitStack() as running:
        # First, so that an error of the port comes before anything that takes long.
        listener = running.enter_context(contextlib.closing(listen(settings.host, settings.port)))
        running.enter_context(lock_data_dir(settings.data_dir))
        if settings.database_url is None:
            echo("Starting PostgreSQL ...")
            server = running.enter_context(postgres.start(settings.data_dir / "postgres"))
            os.environ["DATABASE_URL"] = server.url()
        asyncio.run(_run_all(Settings(), listener))
    echo("Stopped.")


@contextlib.contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[None]:
    """Lock the folder; raises CommandError where another `./run dev` uses it."""
    with (data_dir / "dev.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"Another ./run dev uses the data in {data_dir}: stop it, or set DATA_DIR to another folder."
            ) from error
        yield


def prepare_environment() -> Settings:
    """Complete the environment for development, with secrets kept in DATA_DIR; raises CommandError."""
    os.environ["ENVIRONMENT"] = "development"
    data_dir = read_settings().data_dir.absolute()
    os.environ["DATA_DIR"] = str(data_dir)
    try:
        for name, value in _read_or_create_secrets(data_dir).items():
            os.environ.setdefault(name, value)
    except OSError as error:
        raise CommandError(f"The folder {data_dir} cannot be written to ({error.strerror}): set DATA_DIR.") from error
    logs.configure(readable=True, level="WARNING")
    return read_settings()


def _read_or_create_secrets(data_dir: Path) -> dict[str, str]:
    """The secrets of this folder, generated the first time."""
    path = data_dir / "secrets.json"
    with contextlib.suppress(FileNotFoundError, ValueError):
        stored: dict[str, str] = json.loads(path.read_text())
        return stored
    generated = {
        "SECRET_KEY": secrets.token_urlsafe(32),
        "DANGEROUS_SALT": secrets.token_urlsafe(32),
        "INTERNAL_CLIENT_API_KEYS": json.dumps({INTERNAL_CLIENT_NAME: [secrets.token_urlsafe(32)]}),
    }
    write_private_json(path, generated)
    return generated


def write_private_json(path: Path, value: Any) -> None:
    """Write JSON atomically, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    temporary.replace(path)


async def seed_demo_data(settings: Settings, notifications: int, *, force: bool = False) -> demo.Demo:
    """Fill the migrated database with demo data; raises SeedError where it holds other data."""
    started = False
    with demo.progress_bar() as display:

        def progress(stage: str, done: int, total: int) -> None:
            nonlocal started
            if display:
                display(stage, done, total)
            elif not started:
                echo(f"Creating demo data: {total:,} messages ...")
            started = True

        return await demo.seed(
            settings.libpq_url,
            signer=Signer(tuple(settings.secret_keys), settings.salt),
            notifications=notifications,
            store=Store.connect(settings),
            force=force,
            progress=progress,
        )


async def _run_all(settings: Settings, listener: socket.socket) -> None:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    preparing = asyncio.create_task(_prepare_database(settings, listener))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        preparing.cancel()
        await asyncio.wait({preparing})
        return
    info = preparing.result()
    async with _running_server(settings, listener) as serving, _running_worker() as worker:
        write_private_json(settings.data_dir / "dev.json", info.dev_json)
        _print_server_info(info)
        watching_worker = asyncio.create_task(_report_worker_exit(worker))
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        watching_worker.cancel()
        stopping.cancel()
        echo("\nStopping ...")


async def _prepare_database(settings: Settings, listener: socket.socket) -> DevServerInfo:
    """Migrate and seed the database; return how to reach it."""
    await migrate.upgrade(settings.libpq_url)
    try:
        demo_data = await seed_demo_data(settings, _demo_notification_count())
    except demo.SeedError as error:
        echo(f"No demo data: {error}")
        demo_data = None
    database = Database.connect(settings)
    try:
        return await _server_info(settings, database, listener, demo_data)
    finally:
        await database.close()


def _demo_notification_count() -> int:
    value = os.environ.get("DEMO_NOTIFICATIONS", str(demo.DEFAULT_NOTIFICATIONS))
    if not value.isascii() or not value.isdigit():
        raise CommandError("DEMO_NOTIFICATIONS must be a number.")
    return int(value)


@dataclass(frozen=True, slots=True)
class DevServerInfo:
    """How to reach the server: for scripts in `dev.json`, and for people on the terminal."""

    dev_json: dict[str, Any]
    """The content of `dev.json`; its demo values are null where the database holds other data."""
    demo_data: demo.Demo | None


async def _server_info(
    settings: Settings, database: Database, listener: socket.socket, demo_data: demo.Demo | None
) -> DevServerInfo:
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not listened on
    signer = Signer(tuple(settings.secret_keys), settings.salt)
    users = demo_data.user_ids if demo_data else {}
    dev_json = {
        "graphql_url": f"http://{name}:{port}/graphql",
        "explorer_url": f"http://{name}:{port}/",
        "database_url": settings.libpq_url,
        "tokens": {role: await _session_token(database, signer, users.get(role)) for role in demo.DEMO_ROLES},
        "service_id": str(demo_data.service_id) if demo_data else None,
        "template_ids": {name: str(demo_data.template_ids[name]) if demo_data else None for name in ("sms", "email")},
        "api_key": demo_data.api_key if demo_data else None,
    }
    return DevServerInfo(dev_json, demo_data)


async def _session_token(database: Database, signer: Signer, user_id: UUID | None) -> str | None:
    """A long-lived session token of a demo user; that of the last run while it is valid."""
    async with database.transaction() as tx:
        user = await tx.get(models.User, user_id) if user_id else None
        if user is None:
            return None
        session = await tx.get(models.Session, user.current_session_id) if user.current_session_id else None
        now = models.utcnow()
        if session is None or session.expires_at < now + DEMO_SESSION_LIFETIME / 2:
            session = await sessions.start(tx, user)
            session.last_used_at = session.expires_at = now + DEMO_SESSION_LIFETIME
        return tokens.create_session_token(signer, user.id, session.id)


@contextlib.asynccontextmanager
async def _running_server(settings: Settings, listener: socket.socket) -> Any:
    """Run the server in this process, from when it is ready; running requests end first."""
    application = app.create(settings)
    server = _DevServer(uvicorn_config(lambda: application))
    serving, ready = asyncio.create_task(server.serve(sockets=[listener])), asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        yield serving
    finally:
        ready.cancel()
        server.should_exit = True
        await serving


class _DevServer(uvicorn.Server):
    """A server that leaves signals to `dev`, and sets `ready` when it accepts requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _running_worker() -> Any:
    """A worker process, which gets no Ctrl-C of the terminal and exits when this process has exited."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graphql_api", "work", "--with-parent"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), WORKER_STOP_TIMEOUT_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _report_worker_exit(process: asyncio.subprocess.Process) -> None:
    code = await process.wait()
    echo(f"The worker has exited (status {code}): nothing is sent until you start ./run dev again.", sys.stderr)


def _print_server_info(info: DevServerInfo) -> None:
    dev_json, demo_data = info.dev_json, info.demo_data
    echo(f"\n  Explorer   {dev_json['explorer_url']}\n  GraphQL    {dev_json['graphql_url']}")
    echo(f"  Database   {dev_json['database_url']}\n  Scripts    {Path(os.environ['DATA_DIR']) / 'dev.json'}")
    if demo_data:
        echo("\nThe explorer is signed in as the service manager. To sign in as one of these users,")
        echo(f"the password is {demo_data.password}; the code appears here instead of in a text message.")
        for role, address in demo_data.email_addresses.items():
            echo(f"\n  {role.replace('_', ' ').capitalize()}, {address}\n    token {dev_json['tokens'][role]}")
        echo(f"\n  API key\n    token {demo_data.api_key}")
    echo("\nCtrl-C stops everything and keeps the data.")


def _exit_on_signal(number: int, frame: Any) -> None:
    """Exit as after Ctrl-C, with clean-up."""
    del frame
    raise SystemExit(128 + number)
