"""Rules of the repository: no index addresses, no generated files, runnable scripts, documents whose paths exist."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCE_FOLDERS = "alembic|benchmarks|docs|explorer|graphql_api|loaders|schema|tests"


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file under version control; skips the test in a copy without `.git`."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout  # noqa: S607
    return [ROOT / name for name in listed.split("\0") if name]


def test_uv_lock_is_not_tracked_and_stays_ignored(tracked: list[Path]) -> None:
    assert [path for path in tracked if path.name == "uv.lock"] == []
    assert "/uv.lock" in (ROOT / ".gitignore").read_text().splitlines()


def test_no_generated_folder_is_tracked(tracked: list[Path]) -> None:
    generated = {".data", ".venv", "node_modules", "__pycache__", ".env"}

    assert [path for path in tracked if generated & set(path.relative_to(ROOT).parts)] == []


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


def test_the_image_installs_a_subset_of_the_development_packages() -> None:
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
def test_scripts_are_executable_and_plain_shell(name: str) -> None:
    path = ROOT / name

    assert path.stat().st_mode & 0o111 == 0o111
    assert path.read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["/bin/sh", "-n", path], check=False).returncode == 0


def test_help_names_every_command() -> None:
    printed = subprocess.run([ROOT / "run", "help"], capture_output=True, check=True, text=True).stdout

    commands = ("dev", "test", "lint", "bench", "serve", "work", "migrate", "seed", "schema", "help")
    assert [name for name in commands if not re.search(rf"(?m)(^| ) {name}  ", printed)] == []


def test_an_unknown_command_is_refused_with_the_help() -> None:
    done = subprocess.run([ROOT / "run", "nonsense"], capture_output=True, check=False, text=True)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("There is no command nonsense.\n")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", document.read_text())
    missing = []
    for path, anchor in links:
        target = document if not path else (document.parent / path).resolve()
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            missing.append(f"{path}#{anchor}")

    assert missing == []


def anchors(markdown: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", markdown))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_of_a_document_exists(document: Path) -> None:
    named = re.findall(rf"(?<![\w./-])((?:{SOURCE_FOLDERS})/[\w./-]*[\w/])", document.read_text())

    assert sorted({path for path in named if not (ROOT / path).exists()}) == []
