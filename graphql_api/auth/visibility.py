"""Visibility of rows, a line for each table, and of columns.

`ROW_VISIBILITY` maps a table to predicates over bind parameters, whose values are `bind_values(actor)`: the text of a
statement depends on the kind of actor alone. Platform admins and the platform itself see every row, anonymous callers
none. Every read through GraphQL carries the predicate, and every write finds its row by it (`find_visible`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, any_, bindparam, false, or_, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api import models
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.enums import SearchType, ServicePermission
from graphql_api.errors import NotFound, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

Predicate = ColumnElement[bool]
M = TypeVar("M", bound=models.Model)


class VisibilityScope(NamedTuple):
    """The properties of an actor that the text of a predicate depends on."""

    kind: ActorKind
    has_organisations: bool

    @property
    def sees_all(self) -> bool:
        """Whether every row is visible."""
        return self.kind in {ActorKind.ADMIN, ActorKind.SYSTEM}


class VisibilityRule(NamedTuple):
    """Builders of a table's predicates: for a person, given `has_organisations`, and for an API key, if it sees any."""

    for_person: Callable[[bool], Predicate]
    for_api_key: Callable[[], Predicate] | None = None


def visibility_scope(actor: Actor) -> VisibilityScope:
    """The scope of an actor."""
    return VisibilityScope(actor.kind, actor.kind is ActorKind.PERSON and bool(actor.organisation_ids))


def bind_values(actor: Actor) -> dict[str, Any]:
    """Values of the predicates' bind parameters."""
    services_by_permission = {
        f"actor_{permission.value}": actor.service_ids(permission)
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
        **services_by_permission,
        "actor_services": actor.service_ids(),
        "actor_organisations": list(actor.organisation_ids),
        "actor_user": actor.user_id,
        "actor_key": actor.api_key_id,
        "actor_key_type": actor.key_type,
    }


def row_predicate(model: type[models.Model], scope: VisibilityScope) -> Predicate | None:
    """The predicate of the rows of a table that a scope sees; None for all rows."""
    if scope.sees_all:
        return None
    return _cached_row_predicate(model, scope)


def column_predicate(attribute: Any, scope: VisibilityScope) -> Predicate | None:
    """The predicate of the rows in which a scope sees a column; None for all visible rows."""
    rule = COLUMN_VISIBILITY.get((attribute.parent.class_, attribute.key))
    return rule(scope) if rule else None


async def find_visible(
    tx: AsyncSession, actor: Actor, model: type[M], row_id: UUID, *path: str, lock: bool = False
) -> M:
    """The row with this id, if the actor sees it; raises `NotFound`, or `Unauthenticated`.

    With `lock`, no other transaction changes it until this one ends.
    """
    if not actor.signed_in:
        raise Unauthenticated
    predicate = row_predicate(model, visibility_scope(actor))
    statement: Select[Any] = select(model).where(model.id == row_id)  # type: ignore[attr-defined]
    if predicate is not None:
        statement = statement.where(predicate)
    if lock:
        statement = statement.with_for_update(of=model, key_share=True)
    row: M | None = (await tx.execute(statement, bind_values(actor))).scalar_one_or_none()
    if row is None:
        raise NotFound(row_id, *path)
    return row


def _any_of_parameter(name: str) -> Any:
    return any_(bindparam(name, type_=ARRAY(UuidType())))


def _uuid_parameter(name: str) -> Any:
    return bindparam(name, type_=UuidType())


def _services_of_own_organisations() -> Any:
    return (
        select(models.Service.id)
        .where(models.Service.organisation_id == _any_of_parameter("actor_organisations"))
        .correlate(None)
    )


def _in_own_services(column: Any, in_organisations: bool) -> Predicate:
    """The person is a member of the service or, with `in_organisations`, of its organisation."""
    own: Predicate = column == _any_of_parameter("actor_services")
    return or_(own, column.in_(_services_of_own_organisations())) if in_organisations else own


def _has_permission(permission: ServicePermission, column: Any) -> Predicate:
    predicate: Predicate = column == _any_of_parameter(f"actor_{permission.value}")
    return predicate


def _service_row_rule(column: Any) -> VisibilityRule:
    """The rule of rows that are visible whenever their service is."""
    return VisibilityRule(
        lambda in_organisations: _in_own_services(column, in_organisations),
        lambda: column == _any_of_parameter("actor_services"),
    )


def _organisation_row_rule(column: Any) -> VisibilityRule:
    def person(in_organisations: bool) -> Predicate:
        owners = select(models.Service.organisation_id).where(models.Service.id == _any_of_parameter("actor_services"))
        owns_service: Predicate = column.in_(owners.correlate(None))
        if not in_organisations:
            return owns_service
        return or_(column == _any_of_parameter("actor_organisations"), owns_service)

    return VisibilityRule(person)


def _person_predicate(in_organisations: bool) -> Predicate:
    """The person, members of the services that they see, and members of their organisations."""
    shared = select(models.ServiceMembership.user_id).where(
        _in_own_services(models.ServiceMembership.service_id, in_organisations)
    )
    predicates = [models.User.id == _uuid_parameter("actor_user"), models.User.id.in_(shared.correlate(None))]
    if in_organisations:
        colleagues = select(models.OrganisationMembership.user_id).where(
            models.OrganisationMembership.organisation_id == _any_of_parameter("actor_organisations")
        )
        predicates.append(models.User.id.in_(colleagues.correlate(None)))
    return or_(*predicates)


def _membership_row_rule(model: Any) -> VisibilityRule:
    return VisibilityRule(
        lambda in_organisations: or_(
            model.user_id == _uuid_parameter("actor_user"), _in_own_services(model.service_id, in_organisations)
        )
    )


def _template_predicate(in_organisations: bool) -> Predicate:
    """Templates outside folders, and those in folders that the member can open."""
    # Correlated, so that an index finds the folder of each template: otherwise all entries of folders are read.
    in_folder = select(models.TemplateFolderEntry.template_id).where(
        models.TemplateFolderEntry.template_id == models.Template.id
    )
    in_open_folder = in_folder.join(
        models.FolderPermission,
        models.FolderPermission.template_folder_id == models.TemplateFolderEntry.template_folder_id,
    ).where(models.FolderPermission.user_id == _uuid_parameter("actor_user"))
    in_own_service: Predicate = models.Template.service_id == _any_of_parameter("actor_services")
    visible: Predicate = in_own_service & or_(
        ~in_folder.correlate(models.Template).exists(), in_open_folder.correlate(models.Template).exists()
    )
    if not in_organisations:
        return visible
    return or_(visible, models.Template.service_id.in_(_services_of_own_organisations()))


def _activity_predicate(column: Any) -> Predicate:
    """The person may view activity or send in the service."""
    return or_(
        _has_permission(ServicePermission.VIEW_ACTIVITY, column),
        _has_permission(ServicePermission.SEND_TEXTS, column),
        _has_permission(ServicePermission.SEND_EMAILS, column),
        _has_permission(ServicePermission.SEND_LETTERS, column),
    )


def _message_row_rule(model: Any) -> VisibilityRule:
    """Messages of services where the person views activity or sends by the channel; for a key, those of its type."""
    channel = model.notification_type
    return VisibilityRule(
        lambda _: or_(
            _has_permission(ServicePermission.VIEW_ACTIVITY, model.service_id),
            (channel == "sms") & _has_permission(ServicePermission.SEND_TEXTS, model.service_id),
            (channel == "email") & _has_permission(ServicePermission.SEND_EMAILS, model.service_id),
            (channel == "letter") & _has_permission(ServicePermission.SEND_LETTERS, model.service_id),
        ),
        lambda: (
            (model.service_id == _any_of_parameter("actor_services")) & (model.key_type == bindparam("actor_key_type"))
        ),
    )


def _search_entry_predicate(predicate_of: Callable[[VisibilityRule], Predicate | None]) -> Predicate:
    """Search entries whose row is visible."""
    entry = models.SearchEntry
    rules = [(kind, model, predicate_of(ROW_VISIBILITY[model])) for kind, model in SEARCHABLE_MODELS.items()]
    return or_(
        *(
            (entry.kind == kind.value)
            & select(model.id).where(model.id == entry.row_id, predicate).correlate(entry).exists()
            for kind, model, predicate in rules
            if predicate is not None
        )
    )


def _api_key_row_rule(column: Any) -> VisibilityRule:
    ids = select(models.ApiKey.id).where(_has_permission(ServicePermission.MANAGE_API_KEYS, models.ApiKey.service_id))
    return VisibilityRule(lambda _: column.in_(ids.correlate(None)), lambda: column == _uuid_parameter("actor_key"))


ADMINS_ONLY_RULE = VisibilityRule(lambda _: false())

SEARCHABLE_MODELS: dict[SearchType, Any] = {
    SearchType.ORGANISATION: models.Organisation,
    SearchType.SERVICE: models.Service,
    SearchType.TEMPLATE: models.Template,
    SearchType.USER: models.User,
}
"""The tables of search entries, by kind."""

ROW_VISIBILITY: dict[type[models.Model], VisibilityRule] = {
    models.Organisation: _organisation_row_rule(models.Organisation.id),
    models.OrganisationDomain: _organisation_row_rule(models.OrganisationDomain.organisation_id),
    models.OrganisationFeature: _organisation_row_rule(models.OrganisationFeature.organisation_id),
    models.User: VisibilityRule(_person_predicate),
    models.Service: _service_row_rule(models.Service.id),
    models.ServiceFeature: _service_row_rule(models.ServiceFeature.service_id),
    models.ServiceMembership: _membership_row_rule(models.ServiceMembership),
    models.ServiceMemberPermission: _membership_row_rule(models.ServiceMemberPermission),
    models.DailyUsage: _service_row_rule(models.DailyUsage.service_id),
    models.ApiKey: _api_key_row_rule(models.ApiKey.id),
    models.ApiKeyLifetime: _api_key_row_rule(models.ApiKeyLifetime.api_key_id),
    models.ApiKeyUsage: _api_key_row_rule(models.ApiKeyUsage.api_key_id),
    models.Template: VisibilityRule(
        _template_predicate, lambda: models.Template.service_id == _any_of_parameter("actor_services")
    ),
    models.TemplateHistory: _service_row_rule(models.TemplateHistory.service_id),
    models.TemplateRedaction: VisibilityRule(
        lambda in_organisations: models.TemplateRedaction.template_id.in_(
            select(models.Template.id)
            .where(_in_own_services(models.Template.service_id, in_organisations))
            .correlate(None)
        ),
        lambda: models.TemplateRedaction.template_id.in_(
            select(models.Template.id)
            .where(models.Template.service_id == _any_of_parameter("actor_services"))
            .correlate(None)
        ),
    ),
    models.Job: VisibilityRule(
        lambda _: _activity_predicate(models.Job.service_id),
        lambda: models.Job.service_id == _any_of_parameter("actor_services"),
    ),
    models.JobRun: VisibilityRule(
        lambda _: models.JobRun.job_id.in_(
            select(models.Job.id).where(_activity_predicate(models.Job.service_id)).correlate(None)
        ),
        lambda: models.JobRun.job_id.in_(
            select(models.Job.id).where(models.Job.service_id == _any_of_parameter("actor_services")).correlate(None)
        ),
    ),
    models.Notification: _message_row_rule(models.Notification),
    models.NotificationHistory: _message_row_rule(models.NotificationHistory),
    models.ContactList: VisibilityRule(
        lambda _: _activity_predicate(models.ContactList.service_id),
        lambda: models.ContactList.service_id == _any_of_parameter("actor_services"),
    ),
    models.HealthSnapshot: ADMINS_ONLY_RULE,
    models.TableCount: ADMINS_ONLY_RULE,
    models.Change: VisibilityRule(
        lambda _: or_(
            _has_permission(ServicePermission.MANAGE_SETTINGS, models.Change.service_id),
            models.Change.organisation_id == _any_of_parameter("actor_organisations"),
        )
    ),
    models.SearchEntry: VisibilityRule(
        lambda in_organisations: _search_entry_predicate(lambda rule: rule.for_person(in_organisations)),
        lambda: _search_entry_predicate(lambda rule: rule.for_api_key and rule.for_api_key()),
    ),
    models.Upload: VisibilityRule(
        lambda _: models.Upload.user_id == _uuid_parameter("actor_user"),
        lambda: models.Upload.api_key_id == _uuid_parameter("actor_key"),
    ),
}
"""The rule of each table. A table without one is not exposed: its predicate is a KeyError."""


@cache
def _cached_row_predicate(model: type[models.Model], scope: VisibilityScope) -> Predicate:
    rule = ROW_VISIBILITY[model]
    if scope.kind is ActorKind.PERSON:
        return rule.for_person(scope.has_organisations)
    if scope.kind is ActorKind.KEY and rule.for_api_key:
        return rule.for_api_key()
    return false()


def _admins_only_column(scope: VisibilityScope) -> Predicate | None:
    return None if scope.sees_all else false()


def _own_column(scope: VisibilityScope) -> Predicate | None:
    if scope.kind is ActorKind.PERSON:
        own_row: Predicate = models.User.id == _uuid_parameter("actor_user")
        return own_row
    return _admins_only_column(scope)


def _managers_only_column(scope: VisibilityScope) -> Predicate | None:
    if scope.kind is ActorKind.PERSON:
        managed = select(models.ServiceMembership.user_id).where(
            _has_permission(ServicePermission.MANAGE_USERS, models.ServiceMembership.service_id)
        )
        return or_(models.User.id == _uuid_parameter("actor_user"), models.User.id.in_(managed.correlate(None)))
    return _admins_only_column(scope)


def _unredacted_column(scope: VisibilityScope) -> Predicate | None:
    if scope.kind is ActorKind.SYSTEM:
        return None
    redacted = select(models.TemplateRedaction.template_id).where(
        models.TemplateRedaction.template_id == models.Notification.template_id,
        models.TemplateRedaction.redact_personalisation,
    )
    unredacted: Predicate = ~redacted.correlate(models.Notification).exists()
    return unredacted


COLUMN_VISIBILITY: dict[tuple[type[models.Model], str], Callable[[VisibilityScope], Predicate | None]] = {
    **{
        (model, name): _admins_only_column
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
        (models.User, name): _own_column
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
    (models.User, "mobile_number"): _managers_only_column,
    (models.Notification, "personalisation"): _unredacted_column,
}
"""Predicates of columns that are hidden in some visible rows: null in rows where the predicate is false."""
