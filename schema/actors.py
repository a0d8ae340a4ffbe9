"""The union of the actors of changes: people and API keys."""

from typing import Annotated

import strawberry

from schema.api_keys import ApiKey
from schema.users import User

Actor = Annotated[User | ApiKey, strawberry.union("Actor", description="Who did something: a person or an API key.")]
