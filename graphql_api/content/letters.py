"""Letters as plain text; their pages are not rendered here."""

from __future__ import annotations

from graphql_api.content import emails, markup


def plain_text(subject: str, body: str) -> str:
    """The plain text of a letter, without address and contact block."""
    return "\n\n".join(part for part in (subject, emails.plain_text(markup.parse(body))) if part)
