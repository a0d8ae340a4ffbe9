"""Reads of templates and their versions."""

from graphql_api.models import Template, TemplateHistory
from loaders.core import One, one, ordered_by, page, row

by_id = row(Template.id)
service = one(Template.service)
saved_by = one(Template.created_by)
redaction = one(Template.redaction)
version = row(TemplateHistory.id, TemplateHistory.version)
first_version = One(("id",), version, key_suffix=(1,))
versions = page(Template.versions, ordered_by(TemplateHistory.version, descending=True))

version_service = one(TemplateHistory.service)
version_saved_by = one(TemplateHistory.created_by)
# A version's template is visible with the version, also in a folder that the caller may not open.
version_template = one(TemplateHistory.template, inherits_visibility=True)
