"""Notify GraphQL: the GraphQL API server for GOV.UK-Notify-style notification platforms.

The map. Every file is a cell of a grid, `layer/noun.py`: rows are layers (what kind of thing is said), columns are
nouns (what it is said about). Three sentences govern it: **loaders read, the domain writes, the schema translates.**

    commands                                         the command line: dev, serve, work, migrate, seed, schema
    app                                              the application: routes, what every response has, start and end
    planner                                          the fast path of queries; can be left out
    server                                           uvicorn's protocols, protected against slow clients
    worker                                           what happens after the response
    schema                                           GraphQL: a type, a connection or a mutation is a few lines
    http                                             requests in, responses out, in every transport
    context                                          what a resolver can reach
    limits                                           what a request may cost, and how much is taken on at once
    seed                                             demo data
    loaders, domain                                  siblings: reads, and rules with writes
    observability                                    metrics, logs, errors without details
    auth                                             who is asking, what they may do, which rows they can see
    gateways, migrate, tasks                         the outside world, the tables' migrations, work for later
    database                                         connections to PostgreSQL
    models                                           the tables
    recipients, billing, content                     to whom, at what price, and what a message says: pure rules
    settings, statuses, errors, enums, postgres      what everything stands on

To add a field: annotate it in `schema/<noun>.py`.
A connection: a line in `loaders/<noun>.py` and one in `schema/<noun>.py`.
A mutation: a function in `graphql_api/domain/<noun>.py`, its input, payload and five lines in `schema/<noun>.py`.
A table: a model in `graphql_api/models/<noun>.py`, a numbered migration, a line in `graphql_api/auth/visibility.py`.
"""
