"""Letters, as text: their pages are made elsewhere."""

from __future__ import annotations

from graphql_api.content import emails, markup


def plain_text(subject: str, body: str) -> str:
    """Give a letter from its heading on, as plain text."""
    return "\n\n".join(part for part in (subject, emails.plain_text(markup.parse(body))) if part)
