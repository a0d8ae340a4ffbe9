"""What the repository must not hold: addresses of package indexes, machine's locks, a package that hides another."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file that git knows; the tests of a bare copy have nothing to ask."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout  # noqa: S607
    return [ROOT / name for name in listed.split("\0") if name]


def test_uv_lock_is_not_tracked_and_stays_ignored(tracked: list[Path]) -> None:
    assert [path for path in tracked if path.name == "uv.lock"] == []
    assert "/uv.lock" in (ROOT / ".gitignore").read_text().splitlines()


def test_nothing_that_a_machine_makes_is_tracked(tracked: list[Path]) -> None:
    made = {".data", ".venv", "node_modules", "__pycache__", ".env"}

    assert [path for path in tracked if made & set(path.relative_to(ROOT).parts)] == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_hold_exact_versions_and_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    packages = re.sub(r"\\\n", "", text).splitlines()

    assert (
        re.findall(r"(?m)^\s*-.*(?<!\\)$|\S*://\S*|file:\S*", re.sub(r"(?m)^ +--hash=sha256:[0-9a-f]{64}.*$", "", text))
        == []
    )
    assert [
        line
        for line in packages
        if not re.match(r"[a-z0-9.\[\],-]+==\S+( ; [^\\]+?)?( +--hash=sha256:[0-9a-f]{64})+$", line)
    ] == []


def test_the_image_installs_a_part_of_what_developers_have() -> None:
    pins = [
        set(re.findall(r"(?m)^[a-z0-9.\[\],-]+==\S+", (ROOT / name).read_text()))
        for name in ("requirements.txt", "requirements-dev.txt")
    ]

    assert pins[0] - pins[1] == set()


def test_alembics_folder_is_no_package() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()  # it would hide the library


def test_npms_locks_hold_no_address(tracked: list[Path]) -> None:
    locks = [path for path in tracked if path.name in {"package-lock.json", "npm-shrinkwrap.json"} and path.exists()]

    assert {str(path.relative_to(ROOT)): path.read_text().count('"resolved"') for path in locks} == {
        str(path.relative_to(ROOT)): 0 for path in locks
    }


@pytest.mark.parametrize("name", ["run", ".ci/run"])
def test_scripts_can_be_run_and_are_plain_shell(name: str) -> None:
    path = ROOT / name

    assert path.stat().st_mode & 0o111 == 0o111
    assert path.read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["/bin/sh", "-n", path], check=False).returncode == 0


def test_help_names_every_command() -> None:
    said = subprocess.run([ROOT / "run", "help"], capture_output=True, check=True, text=True).stdout

    commands = ("dev", "test", "lint", "bench", "serve", "work", "migrate", "seed", "schema", "help")
    assert [name for name in commands if not re.search(rf"(?m)(^| ) {name}  ", said)] == []


def test_an_unknown_command_is_refused_with_the_help() -> None:
    done = subprocess.run([ROOT / "run", "nonsense"], capture_output=True, check=False, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("There is no command nonsense.\n")
