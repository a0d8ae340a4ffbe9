"""Own writes, through GraphQL and the connections of several processes: senders find their messages at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from schema import schema
from tests.builders import Builders, api_key_actor, platform_admin
from tests.cluster.clusters import Cluster
from tests.cluster.conftest import Connect

pytestmark = pytest.mark.timeout(180)

TIMES = 200
SEND = """mutation ($input: SendNotificationInput!) { sendNotification(input: $input) {
  notification { id service { statistics { total { requested } } } } userErrors { code } } }"""
FIND = """query ($id: ID!, $search: String!) { service(id: $id) {
  statistics { total { requested } }
  notifications(filter: { search: $search }) { totalCount nodes { id } }
} }"""


async def test_a_message_is_found_by_its_sender_at_once_and_by_others_soon(
    cluster_settings: Callable[..., Settings],
    connect: Connect,
    make: Builders,
    signer: Signer,
    healthy_cluster: Cluster,
) -> None:
    """Half of the messages are sent while replay is paused; the payload of the mutation counts them too."""
    service = await make.service()
    template = await make.template(service)
    sender, admin = api_key_actor(await make.api_key(service)), platform_admin(await make.user())
    settings = cluster_settings()
    store = Store.connect(settings)

    async def ask(database: Database, actor: Actor, document: str, **variables: Any) -> Any:
        context = Context(actor, database, settings, signer, store)
        result = await schema.execute(document, variable_values=variables, context_value=context)
        assert result.errors is None
        return result.data

    async def find(database: Database, actor: Actor, phone: str) -> dict[str, Any]:
        data = await ask(database, actor, FIND, id=str(service.id), search=phone)
        found_service: dict[str, Any] = data["service"]
        return found_service

    async with (
        connect(database_bulk_max_lag=600) as first_process,
        connect(database_bulk_max_lag=600) as second_process,
    ):
        healthy_cluster.wait_for_replay()
        healthy_cluster.pause_replay()
        for number in range(1, TIMES + 1):
            if number == TIMES // 2:
                healthy_cluster.resume_replay()
            phone = f"07700900{300 + number}"
            message = {
                "serviceId": str(service.id),
                "templateId": str(template.id),
                "recipient": {"phoneNumber": phone},
                "personalisation": {"name": "Zoë"},
            }
            sent = (await ask(first_process, sender, SEND, input=message))["sendNotification"]
            assert sent["userErrors"] == []
            assert sent["notification"]["service"]["statistics"]["total"]["requested"] == number
            expected = {
                "statistics": {"total": {"requested": number}},
                "notifications": {"totalCount": 1, "nodes": [{"id": sent["notification"]["id"]}]},
            }
            assert [await find(first_process, sender, phone), await find(second_process, sender, phone)] == [
                expected
            ] * 2
            if number == 1:
                nothing = {"totalCount": 0, "nodes": []}
                assert (await find(second_process, admin, phone))["notifications"] == nothing
        healthy_cluster.wait_for_replay()
        assert await find(second_process, admin, phone) == expected
