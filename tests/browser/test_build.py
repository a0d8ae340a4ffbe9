"""The committed build of the explorer equals that of its source, and its examples fit the schema."""

import filecmp
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "explorer"
BUILT = ROOT / "graphql_api" / "static" / "graphiql"
EXAMPLES = sorted((SOURCE / "src" / "examples").glob("*.graphql"))


def differences(comparison: "filecmp.dircmp[str]") -> list[str]:
    """Names of files that are missing on one side or differ, recursively."""
    _, changed, unreadable = filecmp.cmpfiles(comparison.left, comparison.right, comparison.common_files, shallow=False)
    names = comparison.left_only + comparison.right_only + changed + unreadable
    return names + [name for inner in comparison.subdirs.values() for name in differences(inner)]


@pytest.mark.timeout(300)
def test_the_same_source_makes_the_same_bytes(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("There is no npm: install Node 20.19 or newer.")
    copy = tmp_path / "explorer"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("node_modules"))

    for command in (["ci", "--no-audit", "--no-fund", "--ignore-scripts"], ["run", "check"], ["run", "build"]):
        subprocess.run([npm, *command], cwd=copy, check=True, capture_output=True, text=True)

    assert differences(filecmp.dircmp(tmp_path / "graphql_api" / "static" / "graphiql", BUILT)) == []


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((SOURCE / "package-lock.json").read_text())["packages"]

    assert [path for path, package in packages.items() if "resolved" in package] == []


def test_the_page_has_one_element_for_the_servers_settings() -> None:
    page = (BUILT / "index.html").read_text()

    assert page.count('<script type="application/json" id="settings">{}</script>') == 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_fits_the_schema(example: Path) -> None:
    schema = build_schema((ROOT / "schema" / "schema.graphql").read_text())

    assert validate(schema, parse(example.read_text())) == []
