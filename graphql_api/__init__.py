"""Notify GraphQL: the GraphQL API server for GOV.UK-Notify-style notification platforms.

The map. A file of the product is a cell of a grid, `layer/noun.py`: rows are layers, columns are the nouns of the
domain. Three sentences govern it: **loaders read, the domain writes, the schema translates.** Everything else is
infrastructure, in packages named by the field's terms. From the top; a package imports only from below it:

    commands                       the command line: dev, serve, work, migrate, seed, schema
    app                            the ASGI application: routes, middleware, start and shutdown
    planner, server, worker        queries compiled to SQL (can be left out); uvicorn's protocols; tasks and schedules
    schema, http                   GraphQL types, a file per noun; HTTP, server-sent events, WebSockets, uploads
    context                        what a resolver can reach: actor, loaders, transaction
    limits, seed                   limits of documents and values, points, rate limiter, load shedder; demo data
    loaders, domain                reads; rules and writes
    observability                  metrics, logs, error masking, statistics of an operation
    auth                           tokens, actors, permissions, visibility of rows
    gateways, migrate, tasks       providers and object store; migrations; the task queue
    database                       engines, pools, replicas, transactions, LISTEN
    models                         SQLAlchemy models of the tables
    recipients, billing            recipients and lists of them; prices and London's days: pure rules
    content                        text of messages: placeholders, SMS, emails, letters: pure rules
    settings, statuses, postgres   environment variables; groups of statuses; embedded PostgreSQL
    errors                         request errors and domain errors
    enums                          enums shared by models and schema

One line is one layer: packages in it do not import each other. `static` holds the files that the server serves.
`docs/architecture.md` has the rooms as a picture, the life of a request, a glossary, and recipes for additions.
"""
