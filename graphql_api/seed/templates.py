"""Invented templates with their versions and folders; some redact personalisation, some are archived."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.enums import LetterLanguages, Postage
from graphql_api.seed import sample_texts
from graphql_api.seed.datasets import fixed_id, power_law_weights
from graphql_api.seed.services import ServiceState, raise_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.services import SeededService

FOLDER_NAMES = ("Reminders", "Letters and notices", "Old wording")


@dataclass(eq=False)
class SeededTemplate:
    """A template, and for each of its versions the content and the time from which it was current."""

    row: models.Template
    weight: float
    version_times: list[datetime] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)

    def version_at(self, moment: datetime) -> int:
        """The version that was current at a moment; the first one for earlier moments."""
        return max(1, bisect_right(self.version_times, moment))


def create(dataset: Dataset, seeded_services: list[SeededService]) -> dict[SeededService, list[SeededTemplate]]:
    """Add templates for each service, in proportion to a power law."""
    counts = dataset.rng.split(dataset.sizes.templates, power_law_weights(len(seeded_services), 0.45))
    return {
        seeded_service: _create_templates(dataset, seeded_service, max(4, count))
        for seeded_service, count in zip(seeded_services, counts, strict=True)
    }


def _template_drafts(seeded_service: SeededService) -> Iterator[sample_texts.TemplateDraft]:
    """Drafts of the service's theme, generic ones, then variants of both."""
    drafts = [*seeded_service.theme.drafts, *sample_texts.GENERIC_DRAFTS]
    if seeded_service.state is ServiceState.TRIAL:
        drafts = [draft for draft in drafts if draft.channel != "letter"]
    yield from drafts
    for variant in sample_texts.VARIANT_NAMES:
        for draft in drafts:
            yield draft._replace(name=f"{draft.name} ({variant})")


def _create_templates(dataset: Dataset, seeded_service: SeededService, count: int) -> list[SeededTemplate]:
    folders = _create_folders(dataset, seeded_service) if count >= 8 or seeded_service.is_demo else []  # noqa: PLR2004 - few templates need no folders
    drafts = [draft for draft, _ in zip(_template_drafts(seeded_service), range(count), strict=False)]
    seeded_templates = [
        _create_template(dataset, seeded_service, draft, index, weight)
        for index, (draft, weight) in enumerate(zip(drafts, power_law_weights(len(drafts), 1.1), strict=True))
    ]
    for index, seeded_template in enumerate(seeded_templates):
        if folders and index % 3:
            folder = folders[1 if seeded_template.row.template_type == "letter" else index % len(folders)]
            dataset.add(
                models.TemplateFolderEntry,
                seeded_template.row.created_at,
                template_id=seeded_template.row.id,
                template_folder_id=folder.id,
            )
    return seeded_templates


def _create_folders(dataset: Dataset, seeded_service: SeededService) -> list[models.TemplateFolder]:
    at = seeded_service.row.created_at
    for name in FOLDER_NAMES:
        parent = seeded_service.folders[0].id if name == FOLDER_NAMES[-1] else None
        seeded_service.folders.append(
            dataset.add(models.TemplateFolder, at, service_id=seeded_service.row.id, name=name, parent_id=parent)
        )
    for member in seeded_service.members:
        for folder in seeded_service.folders[: 2 if dataset.rng.chance(0.2) else None]:
            dataset.add(
                models.FolderPermission,
                at,
                user_id=member.id,
                template_folder_id=folder.id,
                service_id=seeded_service.row.id,
            )
    return seeded_service.folders


def _create_template(
    dataset: Dataset, seeded_service: SeededService, draft: sample_texts.TemplateDraft, index: int, weight: float
) -> SeededTemplate:
    rng, clock = dataset.rng, dataset.clock
    demo = (
        {sample_texts.DEMO_SMS_DRAFT: "sms", sample_texts.DEMO_EMAIL_DRAFT: "email"}.get(draft)
        if seeded_service.is_demo
        else None
    )
    created_at = seeded_service.row.created_at + timedelta(days=2, minutes=7 * index)
    letter = draft.channel == "letter"
    row_id = fixed_id("template", demo) if demo else rng.id(created_at)
    template = models.Template(
        id=row_id,
        created_at=created_at,
        service_id=seeded_service.row.id,
        name=draft.name,
        template_type=draft.channel,
        subject=draft.subject,
        content=draft.content,
        created_by_id=rng.pick(seeded_service.members[:2]).id,
        postage=(Postage.FIRST if index % 4 == 0 else Postage.SECOND).value if letter else None,
        letter_languages=LetterLanguages.ENGLISH.value if letter else None,
        service_letter_contact_id=seeded_service.letter_contact.id
        if letter and seeded_service.letter_contact
        else None,
        has_unsubscribe_link=draft.channel == "email" and index % 6 == 5,  # noqa: PLR2004 - one in six
    )
    seeded_template = SeededTemplate(template, weight)
    latest = 3 if demo else min(9, 1 + int(rng.random.expovariate(0.8)))
    ages = sorted(rng.random.random() for _ in range(latest - 1))
    span = max(timedelta(hours=1), clock.days_ago(1 if seeded_service.state is ServiceState.TRIAL else 14) - created_at)
    for version in range(1, latest + 1):
        last = version == latest
        template.content = draft.content + (
            "" if last else sample_texts.EARLIER_VERSION_SUFFIXES[version % len(sample_texts.EARLIER_VERSION_SUFFIXES)]
        )
        if version == 1:
            dataset.add_row(template)
            dataset.add_row(template.snapshot())
            seeded_template.version_times.append(created_at)
        else:
            at = (created_at + span * ages[version - 2]).replace(microsecond=version)
            raise_version(dataset, template, at)
            seeded_template.version_times.append(at)
        seeded_template.contents.append(template.content)
    dataset.add(
        models.TemplateRedaction,
        created_at,
        template_id=template.id,
        redact_personalisation=index == 2 if seeded_service.is_demo else index % 40 == 7,  # noqa: PLR2004 - a few
        updated_at=created_at,
        updated_by_id=template.created_by_id,
    )
    if index == 4 and seeded_service.state is not ServiceState.ARCHIVED and not letter and seeded_service.weight < 1:  # noqa: PLR2004 - a template with a large weight
        template.archived = True
        at = max(clock.days_ago(9.5), seeded_template.version_times[-1] + timedelta(minutes=1))
        raise_version(dataset, template, at)
        seeded_template.version_times.append(at)
        seeded_template.contents.append(template.content)
        seeded_template.weight = 0
    return seeded_template
