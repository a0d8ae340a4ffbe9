"""A running server: started or shared, stopped by its owner or its watchdog."""

import contextlib
import fcntl
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from graphql_api.postgres.binaries import PostgresError, find_binaries, subprocess_options
from graphql_api.postgres.clusters import DATABASE, USER, Cluster, accessible_path, error_line, poll

HOST = "127.0.0.1"

SERVER_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # paths of sockets are limited in length
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # details and statements contain personal data
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
NON_DURABLE_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
TRANSIENT_ERRORS = ("Address already in use", "pre-existing shared memory block", 'lock file "postmaster.pid"')
"""Messages of PostgreSQL for which a start is retried: a port taken meanwhile, a killed server that still ends."""

START_GATE_SCRIPT = 'read -r go && exec "$@"'
WATCHDOG_SCRIPT = 'read -r end; kill -INT "$1"'


def start(
    data_dir: Path,
    *,
    durable: bool = True,
    port: int | None = None,
    bindir: Path | None = None,
    settings: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> "PostgresServer":
    """Start, or share, the server of `data_dir`; returns when it accepts connections.

    The folder and an empty database `notify` are created if they do not exist. `durable=False` is faster, but loses the
    latest changes when the server is killed, and everything when the machine crashes. Without `port` a free one is
    used. `timeout` is in seconds. A server that another process owns is shared unchanged, and stops with its owner.

    Raises `PostgresError`.
    """
    cluster = Cluster(data_dir.absolute())
    options = {**SERVER_SETTINGS, **({} if durable else NON_DURABLE_SETTINGS), **(settings or {})}
    with contextlib.ExitStack() as undo:
        try:
            cluster.data_dir.mkdir(parents=True, exist_ok=True)
            lock = undo.enter_context((cluster.data_dir / "lock").open("a"))
            if shared := _share_or_lock(cluster, lock, timeout):
                return PostgresServer(cluster.data_dir, shared, cluster.password())
            programs = cluster.prepare(bindir or find_binaries(), durable=durable)
            used_port, child = _launch(cluster, programs, options, port, timeout)
            undo.callback(child.stop)
            server = PostgresServer(cluster.data_dir, used_port, cluster.password(), child, lock)
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
            raise PostgresError(f"The database cannot live in {cluster.data_dir} ({reason}): set DATA_DIR.") from error
        undo.pop_all()
    return server


@dataclass
class PostgresServer:
    """A running PostgreSQL on loopback; a context manager that stops it, unless another process owns it."""

    data_dir: Path
    port: int
    _password: str = field(repr=False)
    _server_process: "_ServerProcess | None" = field(default=None, repr=False)
    _lock_file: IO[str] | None = field(default=None, repr=False)

    def url(self, database: str = DATABASE) -> str:
        """The URL of a database, with the password, as ``postgresql://``."""
        return f"postgresql://{USER}:{self._password}@{HOST}:{self.port}/{database}"

    def stop(self) -> None:
        """Disconnect every client and stop the server, unless another process owns it."""
        if self._server_process is not None:
            self._server_process.stop()
        if self._lock_file is not None:
            self._lock_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass
class _ServerProcess:
    """The server's process, and the watchdog that stops it when this process ends."""

    process: subprocess.Popen[bytes]
    watchdog: subprocess.Popen[bytes]

    def stop(self, timeout: float = 30) -> None:
        for signal_number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast shutdown, immediate shutdown, kill
            self.process.send_signal(signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
                break
        self.watchdog.kill()  # after the server, in case this process is killed meanwhile
        self.watchdog.communicate()


def _share_or_lock(cluster: Cluster, lock: IO[str], timeout: float) -> int | None:
    """The port of the server that another process owns; None when this process now owns the lock, without a server."""
    for _ in poll(timeout):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ready = cluster.ready_server()
            if ready and ready[0] == cluster.postmaster_pid():
                return ready[1]
        else:
            cluster.stop_orphaned_server(timeout)
            return None
    raise PostgresError(f"Another process holds {lock.name}, but its PostgreSQL was not ready in {timeout:g} seconds.")


def _launch(
    cluster: Cluster, programs: Path, options: Mapping[str, str], port: int | None, timeout: float
) -> tuple[int, _ServerProcess]:
    """Start the server and wait until it is ready; retries after `TRANSIENT_ERRORS`."""
    log = cluster.data_dir / "log"
    for _ in poll(timeout):
        used_port = _free_port(port)
        child = _spawn(cluster, [str(programs / "postgres")], {**options, "port": str(used_port)}, log)
        try:
            if _wait_until_ready(cluster, child, timeout):
                return used_port, child
        except BaseException:
            child.stop()
            raise
        child.stop()
        output = log.read_text(errors="replace")
        if not any(message in output for message in TRANSIENT_ERRORS):
            break
        cluster.stop_orphaned_server(timeout)
    raise PostgresError(
        f"PostgreSQL did not start in {cluster.data_dir}: {error_line(log.read_text(errors='replace'))}"
    )


def _spawn(cluster: Cluster, command: list[str], options: Mapping[str, str], log: Path) -> _ServerProcess:
    """Start the server by a script that waits until the watchdog runs."""
    common: dict[str, Any] = {"stdin": subprocess.PIPE, **subprocess_options(cluster.account)}
    with accessible_path(cluster.path, cluster.account) as (name, descriptors), log.open("wb") as output:
        gate = [
            "/bin/sh",
            "-c",
            START_GATE_SCRIPT,
            "gate",
            *command,
            "-D",
            name,
            *(f"--{k}={v}" for k, v in options.items()),
        ]
        process = subprocess.Popen(gate, pass_fds=descriptors, stdout=output, stderr=output, **common)  # noqa: S603
    watchdog = subprocess.Popen(["/bin/sh", "-c", WATCHDOG_SCRIPT, "watchdog", str(process.pid)], **common)  # noqa: S603
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(b"go\n")
    return _ServerProcess(process, watchdog)


def _wait_until_ready(cluster: Cluster, child: _ServerProcess, timeout: float) -> bool:
    """Wait until the server is ready; False when it ended."""
    for _ in poll(timeout):
        if child.process.poll() is not None:
            return False
        ready = cluster.ready_server()
        if ready and ready[0] == child.process.pid:
            return True
    raise PostgresError(f"PostgreSQL was not ready in {timeout:g} seconds: see {cluster.data_dir / 'log'}.")


def _free_port(requested: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, requested or 0))
        except OSError as error:
            raise PostgresError(
                f"PostgreSQL cannot have port {requested} of {HOST} ({error.strerror}): choose another, or none."
            ) from error
        return int(probe.getsockname()[1])
