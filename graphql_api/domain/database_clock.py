"""The database's clock in SQL: leases, due times and refills are compared by it, for the clocks of workers differ."""

from __future__ import annotations

NOW_SQL = "timezone('utc', clock_timestamp())"
"""The present moment in naive UTC; unlike `now()`, it does not stand still within a transaction."""
