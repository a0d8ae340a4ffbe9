"""Reads of the database: one file per noun, with its declarations.

    core                                the words of a declaration (row, one, many, page, batch), their SQL, and the
                                        batches of a request
    organisations, services             the nouns
    users, members, api_keys            people, their membership of services, API keys
    templates, jobs, notifications      templates and their versions, jobs and their progress, messages
    statistics, usage                   counts of messages by day; usage in financial years
    search_entries, changes             texts that `search` finds; the change log
    health, server                      health snapshots; the migration and public counts

Imports `models`, `auth.visibility` and the packages below it; never `domain`, and no GraphQL.
"""
