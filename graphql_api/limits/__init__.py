"""Limits on requests: what a document may cost, how fast a caller may spend, and how much load a process takes.

    extension        the Strawberry extension that applies the limits below
    lexer            a fast lexer
    complexity       the cost of a document, and limits on its shape
    field_costs      costs of the schema's fields
    points           objects, points, and the cost in responses
    value_limits     limits of variables and literals
    validation       graphql-core's rules in a faster traversal
    rate_limiter     points per caller and minute
    buckets          token buckets of one process
    redis_buckets    token buckets that processes share
    load_shedding    capacity of a process in concurrent requests

Imports nothing of `domain`, `loaders` and what is above them.
"""
