"""A data folder for each installed PostgreSQL."""

import subprocess
from pathlib import Path

import pytest

from graphql_api import postgres
from tests.postgres.owner_processes import BINARIES, fetch_value


@pytest.fixture(scope="module", params=BINARIES)
def bindir(request: pytest.FixtureRequest) -> Path:
    folder = BINARIES[request.param]
    if folder is None or not (folder / "initdb").exists():
        pytest.skip(f"PostgreSQL {request.param} is not installed")
    return folder


@pytest.fixture(scope="module")
def prepared_data_dir(bindir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose server has run once, and that holds one row."""
    place = tmp_path_factory.mktemp("made") / "data"
    with postgres.start(place, bindir=bindir, durable=False) as server:
        fetch_value(server.url(), "CREATE TABLE kept AS SELECT 'still here' AS word")
    return place


@pytest.fixture
def data_dir(prepared_data_dir: Path, tmp_path: Path) -> Path:
    """A copy of that folder for one test."""
    subprocess.run(["/bin/cp", "-a", prepared_data_dir, tmp_path / "data"], check=True)
    return tmp_path / "data"
