"""Reads of API keys."""

from graphql_api.models import ApiKey, ApiKeyHistory, ApiKeyLifetime
from loaders.core import One, one, row

by_id = row(ApiKey.id)
service = one(ApiKey.service)
# Of the key itself, Notify makes its revoker the creator.
first_version = One(("id",), row(ApiKeyHistory.id, ApiKeyHistory.version, implied=True), fixed=(1,))
created_by = one(ApiKey.created_by)
lifetime = one(ApiKey.lifetime)
revoked_by = one(ApiKeyLifetime.revoked_by)
