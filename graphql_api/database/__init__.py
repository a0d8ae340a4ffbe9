"""Connections to PostgreSQL.

    database           `Database`: reads, transactions, errors translated
    replicas           bulk reads from a replica that has replayed enough
    engines            SQLAlchemy engines of both binds, and settings of sessions
    dialect            the SQL dialect of the engines, to compile a statement without one
    connections        returning pooled connections, also on cancellation
    circuit_breaker    not trying a failed replica or Redis for a moment
    sqlstates          SQLSTATEs and what they mean
    pool_metrics       Prometheus metrics of the pools
    listen             LISTEN/NOTIFY: changes of jobs

Imports `models` and what is below it; only this package commits.
"""
