"""Reads of the database: one file per noun, with its declarations.

    core        the functions that declare reads (row, one, many, page, batch), their SQL, and the batches of a request
    organisations, services, members, api_keys, users, templates, notifications, jobs,
    statistics, usage, changes, search_entries, server, health
                the reads of that noun

Imports `models`, `auth.visibility` and the packages below it; never `domain`, and no GraphQL.
"""
