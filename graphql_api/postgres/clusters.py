"""A data folder: its cluster, its password, and a server that may still run on it."""

import contextlib
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql_api.postgres import binaries
from graphql_api.postgres.binaries import PostgresError

USER = "notify"
DATABASE = "notify"

IS_LINUX = sys.platform.startswith("linux")
LC_CTYPE = "UTF-8" if sys.platform == "darwin" else "C.UTF-8"
POLL_INTERVAL_SECONDS = 0.01
UNUSED_PID = str(2**31 - 1)

log = logging.getLogger(__name__)


@dataclass
class Cluster:
    """The files of a PostgreSQL cluster and the account that owns them."""

    data_dir: Path

    @property
    def path(self) -> Path:
        """PostgreSQL's data directory, which only its account can read."""
        return self.data_dir / "cluster"

    @property
    def account(self) -> dict[str, Any]:
        """Arguments of subprocess to run a program as the owner."""
        return binaries.unprivileged_account(self.path)

    def password(self) -> str:
        """Read the password of `USER`."""
        return (self.data_dir / "password").read_text()

    def prepare(self, bindir: Path, *, durable: bool) -> Path:
        """Create the cluster if it does not exist; returns binaries that its account can run."""
        programs, version = binaries.runnable_binaries(bindir, self.data_dir, self.account)
        for unfinished in self.data_dir.glob("cluster-*"):
            shutil.rmtree(
                unfinished, ignore_errors=True
            )  # initdb may still run and add files; the next start deletes them
        if not self.path.exists():
            self._create(programs, durable=durable)
        cluster_version = int((self.path / "PG_VERSION").read_text())
        if cluster_version != version:
            raise PostgresError(
                f"The data in {self.data_dir} were made by PostgreSQL {cluster_version}, "
                f"but {bindir} is PostgreSQL {version}: "
                f"set PG_BINDIR to a PostgreSQL {cluster_version}, or DATA_DIR to another folder."
            )
        return programs

    def _create(self, bindir: Path, *, durable: bool) -> None:
        """Create the cluster and its database in a temporary folder, then rename it, so that it is never incomplete."""
        fresh = Path(tempfile.mkdtemp(prefix="cluster-", dir=self.data_dir))
        account = self.account
        password = secrets.token_urlsafe(24)
        with tempfile.TemporaryFile() as file, accessible_path(fresh, account) as (name, descriptors):
            if account:
                os.chown(fresh, account["user"], account["group"])
                os.fchown(file.fileno(), account["user"], account["group"])
            file.write(password.encode())
            file.flush()
            options = [f"--pgdata={name}", f"--username={USER}", f"--pwfile=/dev/fd/{file.fileno()}"]
            options += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", f"--lc-ctype={LC_CTYPE}"]
            options += ["--no-instructions"] if durable else ["--no-instructions", "--no-sync"]
            self._run([str(bindir / "initdb"), *options], pass_fds=(*descriptors, file.fileno()))
            single = [str(bindir / "postgres"), "--single", "-D", name, "postgres"]
            self._run(single, pass_fds=descriptors, stdin=f"CREATE DATABASE {DATABASE}\n")
        descriptor = os.open(self.data_dir / "password", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as secret:
            secret.write(password)
        fresh.rename(self.path)

    def _run(self, command: list[str], *, pass_fds: tuple[int, ...], stdin: str = "") -> None:
        options = binaries.subprocess_options(self.account)
        completed = subprocess.run(command, input=stdin, capture_output=True, text=True, pass_fds=pass_fds, **options)  # noqa: PLW1510, S603
        if completed.returncode:
            raise PostgresError(
                f"PostgreSQL could not make its files in {self.data_dir}: {error_line(completed.stderr)}"
            )

    def read_pid_file(self) -> list[str]:
        """The lines of postmaster.pid: pid, folder, start time, port, socket folder, address, shared memory, status."""
        try:
            return (self.path / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def ready_server(self) -> tuple[int, int] | None:
        """Pid and port of the server, if its pid file says that it accepts connections."""
        lines = self.read_pid_file()
        if lines[7:8] and lines[7].strip() == "ready":
            return int(lines[0]), int(lines[3])
        return None

    def postmaster_pid(self) -> int | None:
        """The pid in the pid file, if that process is the PostgreSQL of this cluster."""
        first = next(iter(self.read_pid_file()), "")
        if not first.isdigit():
            return None
        pid = int(first)
        if not IS_LINUX:
            command = ["/bin/ps", "-o", "args=", "-p", first]
            arguments = subprocess.run(command, capture_output=True, check=False, text=True).stdout  # noqa: S603
            return pid if "postgres" in arguments and str(self.path) in arguments else None
        process = Path("/proc", first)
        with contextlib.suppress(OSError):
            if (process / "cwd").samefile(self.path) and (process / "comm").read_text().strip() == "postgres":
                return pid
        return None

    def stop_orphaned_server(self, timeout: float) -> None:
        """Stop a server without an owner, and remove a stale pid file that would prevent a new one."""
        pid = self.postmaster_pid()
        if pid is not None:
            log.warning("stopping PostgreSQL %s without an owner in %s", pid, self.data_dir)
            self._stop_process(pid, timeout)
        path = self.path / "postmaster.pid"
        lines = self.read_pid_file()
        if not lines or not lines[0].isdigit():  # incomplete
            path.unlink(missing_ok=True)
        elif _process_exists(lines[0]):  # another process: PostgreSQL would take it for a server
            path.write_text(
                "\n".join([UNUSED_PID, *lines[1:], ""])
            )  # kept for the id of the shared memory, which must be free

    def _stop_process(self, pid: int, timeout: float) -> None:
        for signal_number in (signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            for _ in poll(timeout / 2):
                if self.postmaster_pid() != pid:
                    return
        raise PostgresError(f"PostgreSQL with pid {pid} in {self.data_dir} has no owner and does not stop.")


@contextlib.contextmanager
def accessible_path(cluster: Path, account: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A path of the cluster that the account can open, and the descriptors that a child must inherit for it."""
    if not account or not IS_LINUX:
        yield str(cluster), ()
        return
    descriptor = os.open(cluster, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def poll(timeout_seconds: float) -> Iterator[None]:
    """Yield at once and then every few milliseconds, until `timeout_seconds` have passed."""
    deadline = time.monotonic() + timeout_seconds
    yield
    while time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_SECONDS)
        yield


def error_line(output: str) -> str:
    """The line of PostgreSQL's output with the reason of an error."""
    lines = [line for line in output.splitlines() if line.strip()]
    error_lines = [line for line in lines if re.search(r"FATAL|error|could not", line)]
    return re.sub(r"^.*?(FATAL|error): +", "", (error_lines or lines or ["it printed nothing"])[0])


def _process_exists(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
