"""What a command says in one sentence to whoever started it, instead of a stack of frames."""
# ruff: noqa: PLC0415 - help should not wait for what reads settings

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql_api.settings import Settings


class Complaint(Exception):
    """The command cannot go on; its text tells why, and what to do."""


def read_settings(*, complete: bool = False) -> Settings:
    """The settings; `complete` complains now of those that a process could not do without."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from graphql_api.settings import Settings

    try:
        settings = Settings()
        if complete or settings.database_url:
            _ = settings.primary, settings.bulk
        if complete:
            _ = settings.secret_keys, settings.salt
    except ValidationError as error:
        wrong = [f"{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors(include_input=False)]
        raise Complaint("Settings are wrong. " + ". ".join(wrong) + ".") from error
    except SettingsError as error:
        # Which one it is, only its sentence tells.
        name = str(error).split('"')[1].upper()
        raise Complaint(f"Settings are wrong. {name}: Input should be JSON.") from error
    except ValueError as error:
        raise Complaint(str(error)) from error
    return settings
