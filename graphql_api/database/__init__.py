"""Connections to PostgreSQL.

    database           `Database`: reads, transactions, errors translated
    replicas           bulk reads from a replica that has replayed enough
    engines            SQLAlchemy engines of both binds, and settings of sessions
    connections        handling of pooled connections, for the primary and the replica
    dialect            the SQL dialect, to compile statements without an engine
    circuit_breaker    skips an optional server for some seconds after a failure
    sqlstates          SQLSTATEs and what they mean
    pool_metrics       Prometheus metrics of the pools
    listen             LISTEN/NOTIFY: changes of jobs

Imports `models` and what is below it; only this package commits.
"""
