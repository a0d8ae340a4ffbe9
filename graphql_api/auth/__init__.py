"""Authentication, permissions and visibility.

    actors            `Actor`: the caller of a request and its permissions
    authentication    a bearer token becomes an actor
    actor_cache       actors of the last second
    jwts              JWTs of API keys and internal clients
    tokens            session tokens, and other tokens that this API issues
    crypto            signatures and password hashes
    visibility        rows and columns that an actor sees, as SQL predicates
    audit_author      the author of logged changes

Reads rows only: the domain implements the writes of authentication. Imports nothing of `observability`.
"""
