"""The commands and their arguments: dev, serve, work, migrate, seed, schema."""
# ruff: noqa: PLC0415 - a command imports what it needs, so that help does not wait for the schema

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql_api.commands.terminal import echo
from graphql_api.errors import CommandError, RequestError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

    from graphql_api.settings import Settings

SCHEMA_PATH = Path(__file__).resolve().parents[2] / "schema" / "schema.graphql"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status. Expected errors are one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:
        message = _error_message(error)
        if message is None or os.environ.get("DEBUG"):
            raise
        print(message, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run",
        description="Notify GraphQL: the GraphQL API server for GOV.UK-Notify-style notification platforms.",
        epilog="Settings are environment variables: see graphql_api/settings.py. DEBUG=1 shows tracebacks.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, summary: str, details: str = "") -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=summary, description=f"{summary} {details}".strip())
        subparser.set_defaults(run=run)
        return subparser

    command(
        "dev",
        _dev,
        "Start everything on this machine.",
        "PostgreSQL (unless DATABASE_URL names one), migrations, demo data for an empty database (DEMO_NOTIFICATIONS "
        "messages, 20000 by default, and half as many of earlier days), the server, a worker and the explorer. Tokens "
        "for scripts are written to DATA_DIR/dev.json. Ctrl-C stops everything and keeps the data.",
    )
    serve = command(
        "serve",
        _serve,
        "Run the server.",
        "It listens on HOST (127.0.0.1) and PORT (8000), and needs DATABASE_URL, SECRET_KEY and DANGEROUS_SALT.",
    )
    serve.add_argument(
        "--workers",
        type=_positive_integer,
        default=1,
        metavar="N",
        help="processes; each has its own pool of connections (1)",
    )
    work = command(
        "work", _work, "Run a worker: jobs, delivery, schedules.", "After SIGTERM it finishes its current tasks."
    )
    work.add_argument(
        "--nightly",
        action="store_true",
        help="run once, now, the nightly tasks of a worker (count statuses and bills, move messages past retention), "
        "and exit",
    )
    work.add_argument("--with-parent", action="store_true", help="exit when standard input is closed")
    migrations = command(
        "migrate",
        _migrate,
        "Bring the database up to date.",
        "Safe to run in several processes at once, and on a database that GOV.UK Notify created. Without DATABASE_URL "
        "it migrates the database of ./run dev.",
    )
    which = migrations.add_mutually_exclusive_group()
    which.add_argument("revision", nargs="?", default="head", help="apply migrations up to this one (head)")
    which.add_argument("--down", metavar="REVISION", help="revert migrations down to this one, or base")
    which.add_argument(
        "--check", action="store_true", help="list what would happen; fail if something would, or the models differ"
    )
    which.add_argument(
        "--sql",
        action="store_true",
        help="print the SQL of what would happen; without DATABASE_URL, of an empty database",
    )
    which.add_argument(
        "--index", action="store_true", help="on tables that GOV.UK Notify created: build the indexes of this API"
    )
    which.add_argument(
        "--log",
        action="store_true",
        help="on tables that GOV.UK Notify created: log administrative changes by triggers",
    )
    which.add_argument("--new", metavar="MESSAGE", help="write the next migration, from changes of the models")
    seed = command(
        "seed",
        _seed,
        "Fill an empty database with demo data.",
        "Always the same data. Without DATABASE_URL it fills the database of ./run dev.",
    )
    seed.add_argument(
        "--notifications",
        type=_positive_integer,
        default=20_000,
        metavar="N",
        help="messages (20000), and half as many of earlier days",
    )
    seed.add_argument("--force", action="store_true", help="add them to a database with other data")
    schema = command("schema", _schema, "Print the GraphQL schema.")
    schema.add_argument("--write", action="store_true", help=f"write it to schema/{SCHEMA_PATH.name} instead")
    return parser


def _dev(options: argparse.Namespace) -> None:
    del options
    from graphql_api.commands import dev

    dev.run()


def _serve(options: argparse.Namespace) -> None:
    from graphql_api.settings import read_settings

    settings = read_settings(require_complete=True)
    from graphql_api.commands import serve
    from graphql_api.http.persisted_documents import PersistedDocuments

    try:
        PersistedDocuments.from_settings(settings)
    except ValueError as error:
        raise CommandError(str(error)) from error
    with contextlib.closing(serve.listen(settings.host, settings.port)) as listener:
        serve.serve(listener, workers=options.workers)


def _work(options: argparse.Namespace) -> None:
    from graphql_api.settings import read_settings

    settings = read_settings(require_complete=True)
    from graphql_api import worker
    from graphql_api.gateways import Gateways
    from graphql_api.observability import logs

    try:
        Gateways.connect(settings)
    except ValueError as error:
        raise CommandError(str(error)) from error
    logs.configure(readable=settings.is_development)
    if options.with_parent:
        threading.Thread(target=_terminate_with_parent, daemon=True).start()
    run_coroutine(worker.run_nightly(settings) if options.nightly else worker.run(settings))


def _migrate(options: argparse.Namespace) -> None:
    from graphql_api import migrate
    from graphql_api.migrate import change_triggers, dry_runs, indexes
    from graphql_api.settings import read_settings

    if options.new:
        path, changes = run_coroutine(dry_runs.create_revision(options.new))
        print(f"{path.parent.parent.name}/{path.parent.name}/{path.name}")
        for line in changes or ["Autogenerate found no change of the models."]:
            print(f"  {line}")
        return
    settings = read_settings()
    if options.sql:
        url = settings.database_url.get_secret_value() if settings.database_url else None
        print(run_coroutine(dry_runs.upgrade_script(url)))
        return
    with _database_url(settings) as url:
        if options.check:
            _check_migrations(url)
            return
        if options.index:
            run_coroutine(indexes.build(url, write_line=echo))
            return
        if options.log:
            run_coroutine(change_triggers.create(url, write_line=echo))
            return
        if options.down:
            run_coroutine(migrate.downgrade(url, options.down, write_line=echo))
        else:
            run_coroutine(migrate.upgrade(url, options.revision, write_line=echo))
        print(f"The database is at revision {run_coroutine(migrate.current(url))}.")


def _check_migrations(url: str) -> None:
    """Print what a migration would do, and fail if there is anything to do."""
    from graphql_api import migrate

    plan = run_coroutine(migrate.plan(url))
    print(*plan.lines(), sep="\n")
    if plan.revisions:
        raise SystemExit(1)
    if not plan.database_is_newer:
        run_coroutine(migrate.check(url))


def _seed(options: argparse.Namespace) -> None:
    from graphql_api import migrate
    from graphql_api.commands import dev
    from graphql_api.settings import read_settings

    settings = read_settings() if "SECRET_KEY" in os.environ else dev.prepare_environment()
    with _database_url(settings) as url:
        os.environ["DATABASE_URL"] = url
        run_coroutine(migrate.upgrade(url))
        demo = run_coroutine(
            dev.seed_demo_data(read_settings(require_complete=True), options.notifications, force=options.force)
        )
    print("Created." if demo.created else "The demo data already exist.")
    print(f"The password of every user is {demo.password}; an API key is {demo.api_key}")


def _schema(options: argparse.Namespace) -> None:
    from schema import schema

    text = schema.as_str().rstrip() + "\n"
    if options.write:
        SCHEMA_PATH.write_text(text)
    else:
        print(text, end="")


def run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, on uvloop where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(coroutine)


def _positive_integer(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


@contextlib.contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    """DATABASE_URL, or the database of `./run dev`, started if it is not running."""
    if settings.database_url:
        yield settings.database_url.get_secret_value()
        return
    from graphql_api import postgres

    with postgres.start(settings.data_dir / "postgres") as server:
        yield server.url()


def _terminate_with_parent() -> None:
    """Wait until the parent process has exited, then send SIGTERM to this one."""
    while os.read(0, 1):  # not sys.stdin, whose lock would block the interpreter's exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _error_message(error: Exception) -> str | None:
    """One sentence for an expected error; None for an internal one."""
    from alembic.util.exc import CommandError as AlembicCommandError
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, SQLAlchemyError):
        # The driver's message may hold values, or a URL with its password.
        return f"Database error ({type(error).__name__}). Is it migrated (./run migrate)? DEBUG=1 shows details."
    # pgqueuer looks for its tables concurrently, and its message advises a command of its own.
    if isinstance(error, RuntimeError) and "'pgq " in str(error):
        return "The database is not migrated: run ./run migrate first."
    if isinstance(error, OSError | TimeoutError):
        resource = error.filename or "The database of DATABASE_URL"
        return f"{resource} cannot be reached ({error.strerror or type(error).__name__})."
    if isinstance(error, CommandError | AlembicCommandError | RequestError | RuntimeError):
        return str(error)
    return None
