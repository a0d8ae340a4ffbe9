"""A primary, a streaming replica and a PgBouncer, which the tests start, delay, kill and restart."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphql_api import postgres
from graphql_api.postgres import binaries

HOST = "127.0.0.1"
GUARD_SCRIPT = 'read -r end; kill -INT "$1"'
REQUIRED_PROGRAMS = ("postgres", "initdb", "pg_basebackup", "psql")

POSTGRESQL_CONF = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = replica
max_wal_senders = 5
max_replication_slots = 5
wal_keep_size = '256MB'
max_standby_streaming_delay = '200ms'
hot_standby_feedback = off
fsync = off
log_min_error_statement = panic
"""

PGBOUNCER_INI = """
[databases]
notify = host=127.0.0.1 port={port} dbname=notify
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {pooler}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
admin_users = postgres
pool_mode = transaction
default_pool_size = 8
max_client_conn = 500
query_wait_timeout = 5
server_connect_timeout = 3
server_login_retry = 1
ignore_startup_parameters = extra_float_digits,jit
logfile = {folder}/pgbouncer.log
"""


def find_missing_program() -> str | None:
    """The message that a required program is missing; None if the suite can run."""
    folder = find_bindir()
    missing = [name for name in REQUIRED_PROGRAMS if folder is None or not (folder / name).exists()]
    if missing:
        return f"PostgreSQL's {', '.join(missing)} are missing: apt install postgresql-15, or set PG_BINDIR."
    if find_pgbouncer() is None and not _install("pgbouncer"):
        return "PgBouncer is missing: apt install pgbouncer."
    return None


def _install(package: str) -> bool:
    """Install a Debian package; False without apt or root."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return False
    command = [apt, "install", "--yes", "--no-install-recommends", package]
    quiet = {"DEBIAN_FRONTEND": "noninteractive", **os.environ}
    return subprocess.run(command, env=quiet, check=False, capture_output=True, timeout=300).returncode == 0


def find_bindir() -> Path | None:
    """The folder of PostgreSQL's programs: PG_BINDIR, the newest of the system, or that of the other tests."""
    if configured := os.environ.get("PG_BINDIR"):
        return Path(configured)
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if folders:
        return folders[-1]
    with contextlib.suppress(postgres.PostgresError):
        return postgres.find_binaries()
    return None


def find_pgbouncer() -> str | None:
    """The path of PgBouncer, which Debian installs in /usr/sbin."""
    return shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def free_port() -> int:
    """An unused port."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port


@dataclass
class Process:
    """A process, and a guard process that ends it when this one dies."""

    popen: subprocess.Popen[bytes]
    guard: subprocess.Popen[bytes]

    def stop(self, stop_signal: signal.Signals = signal.SIGINT) -> None:
        """Send a signal, and wait until the process has ended."""
        self.popen.send_signal(stop_signal)
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.guard.kill()
        self.guard.communicate()


@dataclass
class Server:
    """A PostgreSQL server; folder and port stay the same over restarts."""

    cluster: Cluster
    name: str
    port: int
    process: Process | None = None

    @property
    def folder(self) -> Path:
        """The data directory."""
        return self.cluster.folder / self.name

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        self.process = self.cluster.spawn("postgres", "-D", str(self.folder), f"--port={self.port}", log=self.name)
        self.cluster.wait_until_ready(self)

    def stop(self, stop_signal: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT is a fast shutdown, SIGQUIT a crash, SIGKILL (of all its processes) a power failure."""
        if self.process is None:
            return
        children = _children(self.process.popen.pid) if stop_signal is signal.SIGKILL else []
        self.process.stop(stop_signal)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        if stop_signal is signal.SIGKILL:
            (self.folder / "postmaster.pid").unlink(missing_ok=True)
        self.process = None

    def restart(self) -> None:
        """A fast restart, as during an upgrade."""
        self.stop()
        self.start()

    def sql(self, *statements: str, database: str = "notify") -> str:
        """Run statements as the superuser, each in its own transaction; returns their output."""
        each = [part for statement in statements for part in ("-c", statement)]
        command = (
            "psql",
            "-X",
            "-A",
            "-t",
            "-q",
            "-h",
            HOST,
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-d",
            database,
            *each,
        )
        while True:
            try:
                return self.cluster.run_program(*command).strip()
            except AssertionError as error:
                if "conflict with recovery" not in str(error):
                    raise


@dataclass
class Cluster:
    """The three servers, in their own folder, run by an unprivileged account."""

    folder: Path
    bindir: Path
    account: dict[str, Any]
    primary: Server = field(init=False)
    replica: Server = field(init=False)
    pooler_port: int = field(default_factory=free_port)
    _pooler_process: Process | None = None

    def __post_init__(self) -> None:
        self.primary = Server(self, "primary", free_port())
        self.replica = Server(self, "replica", free_port())

    def url(self, *ports: int) -> str:
        """The URL of the database on one server, or on several."""
        return f"postgresql://app@{','.join(f'{HOST}:{port}' for port in ports)}/notify"

    def run_program(self, program: str, *arguments: str) -> str:
        """Run a program of PostgreSQL, and return its output; raises AssertionError if it fails."""
        options: dict[str, Any] = binaries.subprocess_options(self.account)
        command = [str(self.bindir / program), *arguments]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, capture_output=True, check=False, text=True, timeout=60, **options
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def spawn(self, program: str, *arguments: str, log: str) -> Process:
        """Start a program; its output goes to a log in the folder."""
        options: dict[str, Any] = binaries.subprocess_options(self.account)
        executable = program if Path(program).is_absolute() else str(self.bindir / program)
        with (self.folder / f"{log}.log").open("ab") as output:
            popen = subprocess.Popen([executable, *arguments], stdout=output, stderr=output, **options)
        guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD_SCRIPT, "guard", str(popen.pid)], stdin=subprocess.PIPE, **options
        )
        return Process(popen, guard)

    def wait_until_ready(self, server: Server, seconds: float = 30) -> None:
        """Wait until a server accepts connections."""
        end = time.monotonic() + seconds
        while True:
            try:
                server.sql("SELECT 1", database="postgres")
            except AssertionError:
                assert time.monotonic() < end, (self.folder / f"{server.name}.log").read_text()[-2_000:]
                time.sleep(0.05)
            else:
                return

    def wait_for_replay(self, seconds: float = 30) -> None:
        """Wait until the replica has replayed the current position of the primary."""
        position = self.primary.sql("SELECT pg_current_wal_flush_lsn()")
        end = time.monotonic() + seconds
        while self.replica.sql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") != "t":
            assert time.monotonic() < end, "the replica does not catch up"
            time.sleep(0.02)

    def wait_for_streaming(self, seconds: float = 30) -> None:
        """Wait until the replica streams again, and has caught up."""
        end = time.monotonic() + seconds
        while self.replica.sql("SELECT count(*) FROM pg_stat_wal_receiver") != "1":
            assert time.monotonic() < end, "the replica does not stream"
            time.sleep(0.05)
        self.wait_for_replay()

    def pause_replay(self) -> None:
        """Pause replay; the replica still receives WAL."""
        self.replica.sql("SELECT pg_wal_replay_pause()")
        while self.replica.sql("SELECT pg_get_wal_replay_pause_state()") != "paused":
            time.sleep(0.01)

    def resume_replay(self) -> None:
        """Resume replay."""
        self.replica.sql("SELECT pg_wal_replay_resume()")

    def start_all(self) -> None:
        """Create and start the three servers."""
        self.run_program(
            "initdb", "-D", str(self.primary.folder), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        with (self.primary.folder / "postgresql.conf").open("a") as settings:
            settings.write(POSTGRESQL_CONF)
        self.primary.start()
        self.primary.sql(
            "CREATE ROLE app LOGIN",
            "CREATE ROLE repl LOGIN REPLICATION",
            "CREATE DATABASE notify OWNER app",
            database="postgres",
        )
        source = ("-h", HOST, "-p", str(self.primary.port), "-U", "repl")
        self.run_program(
            "pg_basebackup",
            *source,
            "-D",
            str(self.replica.folder),
            "-R",
            "-X",
            "stream",
            "-C",
            "-S",
            "r1",
            "-c",
            "fast",
        )
        self.replica.start()
        users = self.folder / "users.txt"
        users.write_text('"postgres" ""\n"app" ""\n')
        settings_file = self.folder / "pgbouncer.ini"
        settings_file.write_text(
            PGBOUNCER_INI.format(port=self.primary.port, pooler=self.pooler_port, folder=self.folder)
        )
        for path in (users, settings_file):
            path.chmod(0o644)
        self._pooler_process = self.spawn(str(find_pgbouncer()), "-q", str(settings_file), log="pooler")

    def stop_all(self) -> None:
        """Stop the three servers."""
        if self._pooler_process is not None:
            self._pooler_process.stop()
        self.replica.stop()
        self.primary.stop()


def _children(pid: int) -> list[int]:
    """Ids of the child processes."""
    child_ids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                child_ids.append(int(stat.parent.name))
    return child_ids


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="notify-cluster-"))
    try:
        account = binaries.unprivileged_account(folder)
        if account:
            os.chown(folder, account["user"], account["group"])
        bindir = find_bindir()
        assert bindir is not None
        programs, _ = binaries.runnable_binaries(bindir, folder, account)
        cluster = Cluster(folder, programs, account)
        try:
            cluster.start_all()
            yield cluster
        finally:
            cluster.stop_all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
