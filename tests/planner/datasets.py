"""Rows of every kind, with ids, cursors and actors for random queries."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.enums import Channel, ServicePermission
from loaders import jobs, members, notifications, organisations, services, templates, users
from loaders.core.paging import encode_cursor
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor

PAGE_DECLARATIONS = (
    jobs.of_service,
    members.of_service,
    notifications.of_job,
    notifications.of_service,
    organisations.organisations,
    services.services,
    services.templates,
    templates.versions,
    users.users,
)


class Dataset:
    """Two services of an organisation with messages, jobs and keys; actors with and without access to them."""

    def __init__(self) -> None:
        self.ids: list[str] = ["no-uuid", "11111111-1111-4111-8111-111111111111"]
        self.cursors: list[str] = ["", "nothing"]
        self.actors: list[Actor] = []
        self.outcomes: list[tuple[bool, bool]] = []

    async def create(self, make: Builders) -> Dataset:
        organisation = await make.organisation()
        admin = await make.user()
        first = await make.service(organisation_id=organisation.id)
        second = await make.service(
            name="Quote \" and 'apostrophe' \\ \x07 %s :name $1 \u2028 \U0001f600", restricted=True
        )
        members = [await make.member(first), await make.member(first), await make.member(second)]
        self.actors = [
            platform_admin(admin),
            user_actor(members[0], first),
            user_actor(members[1], first, second, permissions={ServicePermission.SEND_TEXTS}),
            organisation_member(members[2], organisation.id),
            stranger(),
        ]
        self.record_ids(organisation, admin, first, second, *members)
        for service, member in ((first, members[0]), (second, members[2])):
            api_key = await make.api_key(service)
            self.actors.append(api_key_actor(api_key))
            self.record_ids(api_key)
            for channel in Channel:
                template = await make.template(service, channel)
                self.record_ids(template, *await self._create_messages(make, template, member, api_key))
        closed = await self._create_template_in_folder(make, first)
        self.record_ids(closed, *await self._create_messages(make, closed, members[0], api_key))
        self._collect_cursors()
        return self

    async def _create_messages(
        self, make: Builders, template: models.Template, member: models.User, api_key: models.ApiKey
    ) -> list[Any]:
        """Messages with most columns set, and messages with few."""
        job = await make.job(template)
        scheduled = await make.job(template, scheduled_for=datetime(2030, 1, 1), created_by_id=member.id)  # noqa: DTZ001
        return [
            job,
            scheduled,
            await make.notification(template, job_id=job.id, job_row_number=0),
            await make.notification(template, job_id=job.id, job_row_number=1, status="permanent-failure"),
            await make.notification(template, created_by_id=member.id, reference="a", client_reference="Service"),
            await make.notification(template, api_key_id=api_key.id, key_type="team", status="created"),
            await make.notification_history(template, job_id=job.id, job_row_number=2),
            await make.notification_history(template, api_key_id=api_key.id),
        ]

    async def _create_template_in_folder(self, make: Builders, service: models.Service) -> models.Template:
        """A template that members do not see, although they see its messages."""
        template = await make.template(service, name="Hidden", hidden=False)
        folder = models.TemplateFolder(id=uuid4(), service_id=service.id, name="Closed")
        await make.add(folder, models.TemplateFolderEntry(template_id=template.id, template_folder_id=folder.id))
        return template

    def _collect_cursors(self) -> None:
        """Cursors of every order of some lists: before all rows, among them, and after them."""
        for page in PAGE_DECLARATIONS:
            for order in (page.order, *page.orders.values()):
                kinds = [key.type.python_type for key in order.sort_keys(order.descending)]
                for instant, text in ((datetime.min, ""), (datetime(2026, 6, 1), "Template 2"), (datetime.max, "z")):  # noqa: DTZ001, DTZ901 - naive UTC, as the database
                    values = {datetime: instant, str: text, UUID: uuid4(), int: 1}
                    self.cursors.append(encode_cursor([values[kind] for kind in kinds], order))

    def record_ids(self, *rows: Any) -> None:
        self.ids += [str(row.id) for row in rows]
