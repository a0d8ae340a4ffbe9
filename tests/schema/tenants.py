"""A tenant with a row of every kind, and a valid input of every mutation, which generated tests vary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNamedType, GraphQLNonNull, GraphQLObjectType

from graphql_api import models
from tests.builders import Builders
from tests.graphql_schema import SCHEMA

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Tenant:
    """A service and its rows."""

    organisation: models.Organisation
    service: models.Service
    user: models.User
    colleague: models.User
    template: models.Template
    api_key: models.ApiKey
    job: models.Job
    notification: models.Notification
    upload: models.Upload
    contact_list: models.ContactList

    @property
    def ids(self) -> dict[str, str]:
        """Ids by the name of the argument that takes them."""
        return {
            "organisationId": str(self.organisation.id),
            "serviceId": str(self.service.id),
            "userId": str(self.colleague.id),
            "createdById": str(self.user.id),
            "templateId": str(self.template.id),
            "apiKeyId": str(self.api_key.id),
            "jobId": str(self.job.id),
            "uploadId": str(self.upload.id),
            "contactListId": str(self.contact_list.id),
        }


async def create_tenant(make: Builders) -> Tenant:
    """Create a live service of its own organisation, a scheduled job, and two members with every permission."""
    organisation = await make.organisation()
    service = await make.service(organisation_id=organisation.id)
    user, colleague = await make.member(service), await make.member(service)
    await make.member(service)
    await make.member(service)
    template = await make.template(service)
    contact_list = models.ContactList(
        service_id=service.id,
        created_by_id=user.id,
        original_file_name="people.csv",
        template_type="sms",
        row_count=1,
    )
    upload = models.Upload(
        user_id=user.id,
        file_name="people.csv",
        byte_count=10,
        row_count=1,
        expires_at=models.utcnow() + timedelta(days=1),
    )
    await make.add(contact_list, upload)
    return Tenant(
        organisation=organisation,
        service=service,
        user=user,
        colleague=colleague,
        template=template,
        api_key=await make.api_key(service),
        job=await make.job(template, job_status="scheduled", scheduled_for=models.utcnow() + timedelta(hours=1)),
        notification=await make.notification(template),
        upload=upload,
        contact_list=contact_list,
    )


def valid_inputs(ids: dict[str, str]) -> dict[str, dict[str, Any]]:
    """A valid input of each mutation, refused only for lack of permission."""

    def some(*names: str) -> dict[str, Any]:
        return {name: ids[name] for name in names}

    recipient = {"phoneNumber": "07700900001"}
    message = {"recipient": recipient, "personalisation": {"name": "Ann"}, "reference": "one"}
    return {
        "createApiKey": some("serviceId") | {"name": "Another key", "type": "TEST"},
        "revokeApiKey": some("apiKeyId"),
        "createJob": some("serviceId", "templateId") | {"source": {"rows": [message]}, "idempotencyKey": "job"},
        "cancelJob": some("jobId"),
        "setServiceMember": some("serviceId", "userId") | {"permissions": ["VIEW_ACTIVITY"]},
        "removeServiceMember": some("serviceId", "userId"),
        "sendNotification": some("serviceId", "templateId") | message | {"idempotencyKey": "one"},
        "sendNotifications": some("serviceId", "templateId") | {"items": [message], "idempotencyKey": "many"},
        "createOrganisation": {"name": "A new body", "type": "CENTRAL", "domains": ["new.example"]},
        "updateOrganisation": some("organisationId")
        | {
            "name": "A body renamed",
            "domains": ["renamed.example"],
            "requestToGoLiveNotes": "Ask us.",
            "notes": "A note.",
            "billingDetails": _BILLING_DETAILS,
        },
        "archiveOrganisation": some("organisationId"),
        "createService": some("organisationId") | {"name": "A new service"},
        "updateService": some("serviceId")
        | {
            "expectedVersion": 1,
            "name": "A service renamed",
            "customEmailSenderName": "The team",
            "contactLink": "https://example.gov.uk",
            "notes": "A note.",
            "volumes": {"sms": 1, "email": 1, "letter": 1},
            "billingDetails": _BILLING_DETAILS,
        },
        "archiveService": some("serviceId"),
        "signIn": {"emailAddress": "person@example.gov.uk", "password": "a long pass phrase"},
        "completeSignIn": {"challengeToken": "none", "proof": {"smsCode": "12345"}},
        "createTemplate": some("serviceId")
        | {
            "name": "A new template",
            "content": {"email": {"subject": "Hello", "body": "Hello ((name))"}},
            "idempotencyKey": "template",
        },
        "updateTemplate": some("templateId")
        | {"expectedVersion": 1, "name": "Renamed", "content": {"sms": {"body": "Bye ((name))"}}},
        "archiveTemplate": some("templateId"),
        "redactTemplate": some("templateId"),
        "registerUser": {
            "name": "Ann Other",
            "emailAddress": "ann.other@example.gov.uk",
            "password": "a long pass phrase",
            "phoneNumber": "07700900002",
        },
        "verifyEmailAddress": {"token": "none"},
        "updateUser": some("userId") | {"emailAddress": "renamed@example.gov.uk", "phoneNumber": "07700900003"},
    }


_BILLING_DETAILS = {
    "purchaseOrderNumber": "1",
    "contactNames": "Ann",
    "contactEmailAddresses": "a@b.uk",
    "reference": "2",
}


def mutation_names() -> list[str]:
    """Names of the mutations that take an input."""
    root: Any = SCHEMA.mutation_type
    return [name for name, field in root.fields.items() if field.args]


def mutation_document(name: str) -> str:
    """A document of a mutation that selects `userErrors`."""
    root: Any = SCHEMA.mutation_type
    kind = root.fields[name].args["input"].type
    return f"""mutation ($input: {kind}) {{ {name}(input: $input) {{
        userErrors {{ __typename code path message ... on NotFoundError {{ missingId }} }}
    }} }}"""


def scalar_paths(kind: Any, scalar_name: str, value: Any, *path: str | int) -> list[Path]:
    """Paths in a value to scalars of this name, through lists and input objects."""
    if isinstance(kind, GraphQLNonNull):
        return scalar_paths(kind.of_type, scalar_name, value, *path)
    if isinstance(kind, GraphQLList):
        return [
            place
            for index, item in enumerate(value)
            for place in scalar_paths(kind.of_type, scalar_name, item, *path, index)
        ]
    if isinstance(kind, GraphQLInputObjectType):
        return [
            place
            for name, item in value.items()
            for place in scalar_paths(kind.fields[name].type, scalar_name, item, *path, name)
        ]
    named: GraphQLNamedType = kind
    return [path] if named.name == scalar_name else []


def replace_at(value: Any, path: Path, replacement: Any) -> Any:
    """The value with a replacement at a path."""
    if not path:
        return replacement
    step, *rest = path
    if isinstance(value, dict):
        return value | {step: replace_at(value[step], tuple(rest), replacement)}
    return [replace_at(item, tuple(rest), replacement) if index == step else item for index, item in enumerate(value)]


def input_type_of(name: str) -> Any:
    """The type of a mutation's input."""
    root: Any = SCHEMA.mutation_type
    assert isinstance(root, GraphQLObjectType)
    return root.fields[name].args["input"].type
