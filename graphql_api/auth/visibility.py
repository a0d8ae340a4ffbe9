"""Who can see which rows, a line for each table, and which columns of them.

`VISIBLE` maps a table to a predicate over bind parameters that `values(actor)` fills, so that the text of a statement
depends on the kind of caller alone. Platform admins and the platform itself see every row; whoever is not signed in
sees none. Every read that leaves by GraphQL carries the predicate, and every write finds its object by it (`find`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, any_, bindparam, false, or_, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api import models
from graphql_api.auth.actors import Actor, Kind
from graphql_api.enums import SearchType, ServicePermission
from graphql_api.errors import NotFound, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

Predicate = ColumnElement[bool]
M = TypeVar("M", bound=models.Model)


class Scope(NamedTuple):
    """What the text of a predicate depends on."""

    kind: Kind
    in_organisations: bool

    @property
    def sees_all(self) -> bool:
        """Whether no row is hidden."""
        return self.kind in {Kind.ADMIN, Kind.SYSTEM}


class Rule(NamedTuple):
    """Who sees a row: a person, and an API key; None for nobody of that kind."""

    person: Callable[[bool], Predicate]
    key: Callable[[], Predicate] | None = None


def scope(actor: Actor) -> Scope:
    """The scope of a caller."""
    return Scope(actor.kind, actor.kind is Kind.PERSON and bool(actor.organisation_ids))


def values(actor: Actor) -> dict[str, Any]:
    """What the predicates bind."""
    sends = {
        f"actor_{permission.value}": actor.services(permission)
        for permission in (
            ServicePermission.SEND_TEXTS,
            ServicePermission.SEND_EMAILS,
            ServicePermission.SEND_LETTERS,
            ServicePermission.VIEW_ACTIVITY,
            ServicePermission.MANAGE_API_KEYS,
            ServicePermission.MANAGE_SETTINGS,
            ServicePermission.MANAGE_USERS,
        )
    }
    return {
        **sends,
        "actor_services": actor.services(),
        "actor_organisations": list(actor.organisation_ids),
        "actor_user": actor.user_id,
        "actor_key": actor.api_key_id,
        "actor_key_type": actor.key_type,
    }


def visible(model: type[models.Model], seen_by: Scope) -> Predicate | None:
    """The rows of a table that a scope sees; None for all of them."""
    if seen_by.sees_all:
        return None
    return _predicate(model, seen_by)


def guard(attribute: Any, seen_by: Scope) -> Predicate | None:
    """Where a scope sees a column's value; None for in every row that it sees."""
    rule = GUARDED.get((attribute.parent.class_, attribute.key))
    return rule(seen_by) if rule else None


async def find(tx: AsyncSession, actor: Actor, model: type[M], row_id: UUID, *path: str, lock: bool = False) -> M:
    """The row with this id, to change it; `NotFound` when there is none that the caller sees.

    With `lock`, nobody else changes it until the transaction ends.
    """
    if not actor.signed_in:
        raise Unauthenticated
    predicate = visible(model, scope(actor))
    statement: Select[Any] = select(model).where(model.id == row_id)  # type: ignore[attr-defined]
    if predicate is not None:
        statement = statement.where(predicate)
    if lock:
        statement = statement.with_for_update(of=model, key_share=True)
    found: M | None = (await tx.execute(statement, values(actor))).scalar_one_or_none()
    if found is None:
        raise NotFound(row_id, *path)
    return found


def _ids(name: str) -> Any:
    return any_(bindparam(name, type_=ARRAY(UuidType())))


def _one(name: str) -> Any:
    return bindparam(name, type_=UuidType())


def _services_of_my_organisations() -> Any:
    return (
        select(models.Service.id).where(models.Service.organisation_id == _ids("actor_organisations")).correlate(None)
    )


def _in_my_services(column: Any, in_organisations: bool) -> Predicate:
    """The service is one that the person belongs to, or one of an organisation of theirs."""
    mine: Predicate = column == _ids("actor_services")
    return or_(mine, column.in_(_services_of_my_organisations())) if in_organisations else mine


def _where_i(permission: ServicePermission, column: Any) -> Predicate:
    result: Predicate = column == _ids(f"actor_{permission.value}")
    return result


def _of_my_service(column: Any) -> Rule:
    """Rows that whoever sees the service sees."""
    return Rule(
        lambda in_organisations: _in_my_services(column, in_organisations),
        lambda: column == _ids("actor_services"),
    )


def _organisations(column: Any) -> Rule:
    def person(in_organisations: bool) -> Predicate:
        owner = select(models.Service.organisation_id).where(models.Service.id == _ids("actor_services"))
        owning: Predicate = column.in_(owner.correlate(None))
        return or_(column == _ids("actor_organisations"), owning) if in_organisations else owning

    return Rule(person)


def _people(in_organisations: bool) -> Predicate:
    """Oneself, whoever belongs to a service that one sees, and whoever belongs to an organisation of one's own."""
    shared = select(models.ServiceMembership.user_id).where(
        _in_my_services(models.ServiceMembership.service_id, in_organisations)
    )
    sides = [models.User.id == _one("actor_user"), models.User.id.in_(shared.correlate(None))]
    if in_organisations:
        colleagues = select(models.OrganisationMembership.user_id).where(
            models.OrganisationMembership.organisation_id == _ids("actor_organisations")
        )
        sides.append(models.User.id.in_(colleagues.correlate(None)))
    return or_(*sides)


def _memberships(model: Any) -> Rule:
    return Rule(
        lambda in_organisations: or_(
            model.user_id == _one("actor_user"), _in_my_services(model.service_id, in_organisations)
        )
    )


def _templates(in_organisations: bool) -> Predicate:
    """Templates at the top of a service, and those in folders that the member can open."""
    # Asked of each template by itself, through an index: a list of all that lie in folders would be read whole.
    lying = select(models.TemplateFolderEntry.template_id).where(
        models.TemplateFolderEntry.template_id == models.Template.id
    )
    opened = lying.join(
        models.FolderPermission,
        models.FolderPermission.template_folder_id == models.TemplateFolderEntry.template_folder_id,
    ).where(models.FolderPermission.user_id == _one("actor_user"))
    mine: Predicate = models.Template.service_id == _ids("actor_services")
    open_to_me: Predicate = mine & or_(
        ~lying.correlate(models.Template).exists(), opened.correlate(models.Template).exists()
    )
    if not in_organisations:
        return open_to_me
    return or_(open_to_me, models.Template.service_id.in_(_services_of_my_organisations()))


def _activity(column: Any) -> Predicate:
    """The service is one where the person sees what is sent, or sends something."""
    return or_(
        _where_i(ServicePermission.VIEW_ACTIVITY, column),
        _where_i(ServicePermission.SEND_TEXTS, column),
        _where_i(ServicePermission.SEND_EMAILS, column),
        _where_i(ServicePermission.SEND_LETTERS, column),
    )


def _messages(model: Any) -> Rule:
    """Messages where the person sees activity or sends by that channel; to a key, those of its own type of key."""
    channel = model.notification_type
    return Rule(
        lambda _: or_(
            _where_i(ServicePermission.VIEW_ACTIVITY, model.service_id),
            (channel == "sms") & _where_i(ServicePermission.SEND_TEXTS, model.service_id),
            (channel == "email") & _where_i(ServicePermission.SEND_EMAILS, model.service_id),
            (channel == "letter") & _where_i(ServicePermission.SEND_LETTERS, model.service_id),
        ),
        lambda: (model.service_id == _ids("actor_services")) & (model.key_type == bindparam("actor_key_type")),
    )


def _entries(side: Callable[[Rule], Predicate | None]) -> Predicate:
    """What can be searched for, as far as the row that an entry leads to is seen."""
    entry = models.SearchEntry
    sides = [(kind, model, side(VISIBLE[model])) for kind, model in SEARCHED.items()]
    return or_(
        *(
            (entry.kind == kind.value)
            & select(model.id).where(model.id == entry.row_id, seen).correlate(entry).exists()
            for kind, model, seen in sides
            if seen is not None
        )
    )


def _keys(column: Any) -> Rule:
    mine = select(models.ApiKey.id).where(_where_i(ServicePermission.MANAGE_API_KEYS, models.ApiKey.service_id))
    return Rule(lambda _: column.in_(mine.correlate(None)), lambda: column == _one("actor_key"))


ADMINS_ONLY = Rule(lambda _: false())

SEARCHED: dict[SearchType, Any] = {
    SearchType.ORGANISATION: models.Organisation,
    SearchType.SERVICE: models.Service,
    SearchType.TEMPLATE: models.Template,
    SearchType.USER: models.User,
}
"""What the entries of each kind lead to."""

VISIBLE: dict[type[models.Model], Rule] = {
    models.Organisation: _organisations(models.Organisation.id),
    models.OrganisationDomain: _organisations(models.OrganisationDomain.organisation_id),
    models.OrganisationFeature: _organisations(models.OrganisationFeature.organisation_id),
    models.User: Rule(_people),
    models.Service: _of_my_service(models.Service.id),
    models.ServiceFeature: _of_my_service(models.ServiceFeature.service_id),
    models.ServiceMembership: _memberships(models.ServiceMembership),
    models.ServiceMemberPermission: _memberships(models.ServiceMemberPermission),
    models.DailyUsage: _of_my_service(models.DailyUsage.service_id),
    models.ApiKey: _keys(models.ApiKey.id),
    models.ApiKeyLifetime: _keys(models.ApiKeyLifetime.api_key_id),
    models.ApiKeyUsage: _keys(models.ApiKeyUsage.api_key_id),
    models.Template: Rule(_templates, lambda: models.Template.service_id == _ids("actor_services")),
    models.TemplateHistory: _of_my_service(models.TemplateHistory.service_id),
    models.TemplateRedaction: Rule(
        lambda in_organisations: models.TemplateRedaction.template_id.in_(
            select(models.Template.id)
            .where(_in_my_services(models.Template.service_id, in_organisations))
            .correlate(None)
        ),
        lambda: models.TemplateRedaction.template_id.in_(
            select(models.Template.id).where(models.Template.service_id == _ids("actor_services")).correlate(None)
        ),
    ),
    models.Job: Rule(
        lambda _: _activity(models.Job.service_id), lambda: models.Job.service_id == _ids("actor_services")
    ),
    models.JobRun: Rule(
        lambda _: models.JobRun.job_id.in_(
            select(models.Job.id).where(_activity(models.Job.service_id)).correlate(None)
        ),
        lambda: models.JobRun.job_id.in_(
            select(models.Job.id).where(models.Job.service_id == _ids("actor_services")).correlate(None)
        ),
    ),
    models.Notification: _messages(models.Notification),
    models.NotificationHistory: _messages(models.NotificationHistory),
    models.ContactList: Rule(
        lambda _: _activity(models.ContactList.service_id),
        lambda: models.ContactList.service_id == _ids("actor_services"),
    ),
    models.HealthSnapshot: ADMINS_ONLY,
    models.TableCount: ADMINS_ONLY,
    models.Change: Rule(
        lambda _: or_(
            _where_i(ServicePermission.MANAGE_SETTINGS, models.Change.service_id),
            models.Change.organisation_id == _ids("actor_organisations"),
        )
    ),
    models.SearchEntry: Rule(
        lambda in_organisations: _entries(lambda rule: rule.person(in_organisations)),
        lambda: _entries(lambda rule: rule.key and rule.key()),
    ),
    models.Upload: Rule(
        lambda _: models.Upload.user_id == _one("actor_user"), lambda: models.Upload.api_key_id == _one("actor_key")
    ),
}
"""Who sees which rows. A table without a line is not exposed, and asking for it is an error."""


@cache
def _predicate(model: type[models.Model], seen_by: Scope) -> Predicate:
    rule = VISIBLE[model]
    if seen_by.kind is Kind.PERSON:
        return rule.person(seen_by.in_organisations)
    if seen_by.kind is Kind.KEY and rule.key:
        return rule.key()
    return false()


def _for_admins(seen_by: Scope) -> Predicate | None:
    return None if seen_by.sees_all else false()


def _for_oneself(seen_by: Scope) -> Predicate | None:
    if seen_by.kind is Kind.PERSON:
        oneself: Predicate = models.User.id == _one("actor_user")
        return oneself
    return _for_admins(seen_by)


def _for_those_who_manage_them(seen_by: Scope) -> Predicate | None:
    if seen_by.kind is Kind.PERSON:
        managed = select(models.ServiceMembership.user_id).where(
            _where_i(ServicePermission.MANAGE_USERS, models.ServiceMembership.service_id)
        )
        return or_(models.User.id == _one("actor_user"), models.User.id.in_(managed.correlate(None)))
    return _for_admins(seen_by)


def _unless_redacted(seen_by: Scope) -> Predicate | None:
    if seen_by.kind is Kind.SYSTEM:
        return None
    redacted = select(models.TemplateRedaction.template_id).where(
        models.TemplateRedaction.template_id == models.Notification.template_id,
        models.TemplateRedaction.redact_personalisation,
    )
    shown: Predicate = ~redacted.correlate(models.Notification).exists()
    return shown


GUARDED: dict[tuple[type[models.Model], str], Callable[[Scope], Predicate | None]] = {
    **{
        (model, name): _for_admins
        for model in (models.Service, models.Organisation)
        for name in (
            "notes",
            "purchase_order_number",
            "billing_contact_names",
            "billing_contact_email_addresses",
            "billing_reference",
        )
    },
    **{
        (models.User, name): _for_oneself
        for name in (
            "updated_at",
            "logged_in_at",
            "failed_login_count",
            "password_changed_at",
            "email_access_validated_at",
            "take_part_in_research",
            "receives_new_features_email",
            "current_session_id",
        )
    },
    (models.User, "mobile_number"): _for_those_who_manage_them,
    (models.Notification, "personalisation"): _unless_redacted,
}
"""Columns that not everyone who sees the row can read: null where the predicate does not hold."""
