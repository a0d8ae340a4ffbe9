"""Invented templates: versions, folders, one that hides its values, one that is archived."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.enums import LetterLanguages, Postage
from graphql_api.seed import sample_texts
from graphql_api.seed.datasets import fixed_id, ranks
from graphql_api.seed.services import ARCHIVED, CREATED, raise_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql_api.seed.datasets import World
    from graphql_api.seed.services import Team

FOLDERS = ("Reminders", "Letters and notices", "Old wording")


@dataclass(eq=False)
class Paper:
    """A template, and from when on each of its versions was the current one."""

    row: models.Template
    weight: float
    since: list[datetime] = field(default_factory=list)
    wordings: list[str] = field(default_factory=list)

    def version_at(self, moment: datetime) -> int:
        """The version that was current at a moment, the first for any before."""
        return max(1, bisect_right(self.since, moment))


def write(world: World, teams: list[Team]) -> dict[Team, list[Paper]]:
    """Give every service its templates: the busiest have many."""
    counts = world.dice.shares(world.sizes.templates, ranks(len(teams), 0.45))
    return {team: _papers(world, team, max(4, count)) for team, count in zip(teams, counts, strict=True)}


def _drafts(team: Team) -> Iterator[sample_texts.Draft]:
    """What a service writes: about its own theme first, then what every service writes, then variants of all that."""
    own = [*team.theme.drafts, *sample_texts.GENERIC]
    if team.state == CREATED:
        own = [draft for draft in own if draft.channel != "letter"]
    yield from own
    for variant in sample_texts.VARIANTS:
        for draft in own:
            yield draft._replace(name=f"{draft.name} ({variant})")


def _papers(world: World, team: Team, count: int) -> list[Paper]:
    folders = _folders(world, team) if count >= 8 or team.demo else []  # noqa: PLR2004 - few need no order
    drafts = [draft for draft, _ in zip(_drafts(team), range(count), strict=False)]
    papers = [
        _paper(world, team, draft, index, weight)
        for index, (draft, weight) in enumerate(zip(drafts, ranks(len(drafts), 1.1), strict=True))
    ]
    for index, paper in enumerate(papers):
        if folders and index % 3:
            folder = folders[1 if paper.row.template_type == "letter" else index % len(folders)]
            world.add(
                models.TemplateFolderEntry,
                paper.row.created_at,
                template_id=paper.row.id,
                template_folder_id=folder.id,
            )
    return papers


def _folders(world: World, team: Team) -> list[models.TemplateFolder]:
    at = team.service.created_at
    for name in FOLDERS:
        parent = team.folders[0].id if name == FOLDERS[-1] else None
        team.folders.append(
            world.add(models.TemplateFolder, at, service_id=team.service.id, name=name, parent_id=parent)
        )
    for member in team.members:
        for folder in team.folders[: 2 if world.dice.chance(0.2) else None]:
            world.add(
                models.FolderPermission,
                at,
                user_id=member.id,
                template_folder_id=folder.id,
                service_id=team.service.id,
            )
    return team.folders


def _paper(world: World, team: Team, draft: sample_texts.Draft, index: int, weight: float) -> Paper:
    dice, clock = world.dice, world.clock
    demo = {sample_texts.SMS_DEMO: "sms", sample_texts.EMAIL_DEMO: "email"}.get(draft) if team.demo else None
    made = team.service.created_at + timedelta(days=2, minutes=7 * index)
    letter = draft.channel == "letter"
    row_id = fixed_id("template", demo) if demo else dice.id(made)
    template = models.Template(
        id=row_id,
        created_at=made,
        service_id=team.service.id,
        name=draft.name,
        template_type=draft.channel,
        subject=draft.subject,
        content=draft.content,
        created_by_id=dice.pick(team.members[:2]).id,
        postage=(Postage.FIRST if index % 4 == 0 else Postage.SECOND).value if letter else None,
        letter_languages=LetterLanguages.ENGLISH.value if letter else None,
        service_letter_contact_id=team.contact.id if letter and team.contact else None,
        has_unsubscribe_link=draft.channel == "email" and index % 6 == 5,  # noqa: PLR2004 - one in six
    )
    paper = Paper(template, weight)
    latest = 3 if demo else min(9, 1 + int(dice.random.expovariate(0.8)))
    ages = sorted(dice.random.random() for _ in range(latest - 1))
    span = max(timedelta(hours=1), clock.ago(1 if team.state == CREATED else 14) - made)
    for version in range(1, latest + 1):
        last = version == latest
        template.content = draft.content + (
            "" if last else sample_texts.EARLIER_WORDING[version % len(sample_texts.EARLIER_WORDING)]
        )
        if version == 1:
            world.keep(template)
            world.keep(template.snapshot())
            paper.since.append(made)
        else:
            at = (made + span * ages[version - 2]).replace(microsecond=version)
            raise_version(world, template, at)
            paper.since.append(at)
        paper.wordings.append(template.content)
    world.add(
        models.TemplateRedaction,
        made,
        template_id=template.id,
        redact_personalisation=(index == 2 and team.demo) or (not team.demo and index % 40 == 7),  # noqa: PLR2004 - a few
        updated_at=made,
        updated_by_id=template.created_by_id,
    )
    if index == 4 and team.state != ARCHIVED and not letter and team.weight < 1:  # noqa: PLR2004 - one of a service's first
        template.archived = True
        at = max(clock.ago(9.5), paper.since[-1] + timedelta(minutes=1))
        raise_version(world, template, at)
        paper.since.append(at)
        paper.wordings.append(template.content)
        paper.weight = 0
    return paper
