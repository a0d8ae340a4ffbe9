"""Fixtures of the domain's tests."""

from pathlib import Path

import pytest

from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from tests.domain.job_services import JobService
from tests.domain.notification_senders import NotificationSender


@pytest.fixture
def notification_sender(database: Database, signer: Signer) -> NotificationSender:
    """Sends messages and reads what was written."""
    return NotificationSender(database, signer)


@pytest.fixture
def job_service(database: Database, store: Store, tmp_path: Path) -> JobService:
    """Creates jobs and reads what was written."""
    return JobService(database, store, tmp_path)
