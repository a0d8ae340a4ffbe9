"""Demo data: an invented data set in Notify's shape, the same on each run, of a few hundred messages to a million.

Phone numbers are those that Ofcom reserves for drama; email addresses are in domains reserved for examples.

    runs                                  `seed`: fills an empty, migrated database in one transaction
    demo                                  `Demo`: ids, addresses, password and API key, read from the database
    progress                              `progress_bar`: how far a run is, on the terminal
    datasets                              sizes, clock and random numbers of a run, and the rows collected so far
    organisations, services, templates    rows of these tables and of those that belong to them
    schedules                             how many messages each service sends on each day, and by which jobs
    recipients, messages                  rows of `notifications` and `notification_history`
    demo_jobs                             the demo service's own jobs, contact list and latest messages
    facts                                 daily facts, usage of limits and allowances, computed from the messages
    bulk_loads                            COPY, and indexes created after the rows
    sample_texts, phone_numbers           names, texts and numbers to draw from

It writes with asyncpg alone, and imports neither `schema` nor `http`.
"""

from graphql_api.seed.demo import DEMO_ROLES, Demo, SeedError
from graphql_api.seed.progress import progress_bar
from graphql_api.seed.runs import DEFAULT_NOTIFICATIONS, seed

__all__ = ["DEFAULT_NOTIFICATIONS", "DEMO_ROLES", "Demo", "SeedError", "progress_bar", "seed"]
