"""Reads of API keys."""

from graphql_api.models import ApiKey, ApiKeyLifetime
from loaders.core import one, row

by_id = row(ApiKey.id)
service = one(ApiKey.service)
created_by = one(ApiKey.created_by)
lifetime = one(ApiKey.lifetime)
revoked_by = one(ApiKeyLifetime.revoked_by)
