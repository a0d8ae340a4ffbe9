"""Reads of the database: one file per noun, with its declarations.

    core        the functions that declare reads (row, one, many, page, batch), their SQL, and the batches of a request
    services, templates, notifications ...    the nouns

Imports `models`, `auth.visibility` and the packages below it; never `domain`, and no GraphQL.
"""
