"""A data folder: its cluster, its password, and the server that may still run on it."""

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
POLL_INTERVAL_SECONDS = 0.01  # seconds
UNUSED_PID = str(2**31 - 1)

log = logging.getLogger(__name__)


@dataclass
class Cluster:
    """The files of one PostgreSQL, with the account that owns them; no server needs to run."""

    data_dir: Path

    @property
    def path(self) -> Path:
        """PostgreSQL's own folder, which only its account can read."""
        return self.data_dir / "cluster"

    @property
    def account(self) -> dict[str, Any]:
        """What subprocess needs to run a program as the owner."""
        return binaries.unprivileged_account(self.path)

    def password(self) -> str:
        """Read the password of the one user."""
        return (self.data_dir / "password").read_text()

    def prepare(self, bindir: Path, *, durable: bool) -> Path:
        """Make the cluster when there is none, and answer binaries that its account can run."""
        chosen, version = binaries.runnable_binaries(bindir, self.data_dir, self.account)
        for unfinished in self.data_dir.glob("cluster-*"):
            shutil.rmtree(unfinished, ignore_errors=True)  # its initdb may still be at work; the next start sees to it
        if not self.path.exists():
            self._create(chosen, durable=durable)
        made_by = int((self.path / "PG_VERSION").read_text())
        if made_by != version:
            raise PostgresError(
                f"The data in {self.data_dir} were made by PostgreSQL {made_by}, but {bindir} is PostgreSQL {version}: "
                f"set PG_BINDIR to a PostgreSQL {made_by}, or DATA_DIR to another folder."
            )
        return chosen

    def _create(self, bindir: Path, *, durable: bool) -> None:
        """Make the cluster and its database beside its final place, then move it there: never half a cluster."""
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
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, pass_fds=pass_fds, **options)  # noqa: PLW1510, S603
        if done.returncode:
            raise PostgresError(f"PostgreSQL could not make its files in {self.data_dir}: {error_line(done.stderr)}")

    def read_pid_file(self) -> list[str]:
        """Answer the lines of postmaster.pid: pid, folder, start, port, socket's folder, address, memory, status."""
        try:
            return (self.path / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def ready_server(self) -> tuple[int, int] | None:
        """Answer the pid and the port of the server that takes connections, by its own word."""
        lines = self.read_pid_file()
        if lines[7:8] and lines[7].strip() == "ready":
            return int(lines[0]), int(lines[3])
        return None

    def postmaster_pid(self) -> int | None:
        """Answer the pid in the pid file, if that process really is the PostgreSQL of this cluster."""
        first = next(iter(self.read_pid_file()), "")
        if not first.isdigit():
            return None
        pid = int(first)
        if not IS_LINUX:
            command = ["/bin/ps", "-o", "args=", "-p", first]
            shown = subprocess.run(command, capture_output=True, check=False, text=True).stdout  # noqa: S603
            return pid if "postgres" in shown and str(self.path) in shown else None
        process = Path("/proc", first)
        with contextlib.suppress(OSError):
            if (process / "cwd").samefile(self.path) and (process / "comm").read_text().strip() == "postgres":
                return pid
        return None

    def stop_orphaned_server(self, timeout: float) -> None:
        """End the server that nobody owns any more, and see that a pid file without a server stops no new one."""
        pid = self.postmaster_pid()
        if pid is not None:
            log.warning("ending the PostgreSQL %s that was left over in %s", pid, self.data_dir)
            self._stop_process(pid, timeout)
        path = self.path / "postmaster.pid"
        lines = self.read_pid_file()
        if not lines or not lines[0].isdigit():  # cut off before its first word
            path.unlink(missing_ok=True)
        elif _process_exists(lines[0]):  # a stranger, or a zombie: PostgreSQL would take it for a server, and refuse
            path.write_text(
                "\n".join([UNUSED_PID, *lines[1:], ""])
            )  # kept, as it tells which shared memory must be free

    def _stop_process(self, pid: int, timeout: float) -> None:
        for way in (signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, way)
            for _ in poll(timeout / 2):
                if self.postmaster_pid() != pid:
                    return
        raise PostgresError(f"The PostgreSQL with pid {pid}, left over in {self.data_dir}, does not end.")


@contextlib.contextmanager
def accessible_path(cluster: Path, account: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name a cluster in a way that the account can follow, with the descriptors that a child must inherit for it."""
    if not account or not IS_LINUX:
        yield str(cluster), ()
        return
    descriptor = os.open(cluster, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def poll(timeout_seconds: float) -> Iterator[None]:
    """Yield at once and then every few milliseconds, until `timeout` seconds have passed."""
    end = time.monotonic() + timeout_seconds
    yield
    while time.monotonic() < end:
        time.sleep(POLL_INTERVAL_SECONDS)
        yield


def error_line(output: str) -> str:
    """Answer the line in which PostgreSQL says why."""
    lines = [line for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"FATAL|error|could not", line)]
    return re.sub(r"^.*?(FATAL|error): +", "", (telling or lines or ["it said nothing"])[0])


def _process_exists(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
