"""Reads of the database: one file per noun, with its declarations.

    core        the words of a declaration (row, one, many, page, batch), their SQL, and the batches of a request
    services, templates, notifications ...    the nouns

Imports `models`, `auth.visibility` and the rooms below; never `domain`, and no GraphQL.
"""
