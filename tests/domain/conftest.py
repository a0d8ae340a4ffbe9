"""Fixtures of the domain's tests."""

from pathlib import Path

import pytest

from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from tests.domain.job_services import Desk
from tests.domain.notification_senders import Sender


@pytest.fixture
def sender(database: Database, signer: Signer) -> Sender:
    """Sends messages."""
    return Sender(database, signer)


@pytest.fixture
def desk(database: Database, store: Store, tmp_path: Path) -> Desk:
    """Makes jobs."""
    return Desk(database, store, tmp_path)
