"""Notify GraphQL: the GraphQL API server for GOV.UK-Notify-style notification platforms.

The map. A file of the product is a cell of a grid, `layer/noun.py`: rows are layers, columns are the nouns of the
domain. Three sentences govern it: **loaders read, the domain writes, the schema translates.** Everything else is
infrastructure, in packages named by the field's terms. From the top; a package imports only from below it:

    commands                       the command line: dev, serve, work, migrate, seed, schema
    app                            the ASGI application: routes, middleware, start and shutdown
    planner                        compiles a query to SQL; optional, see `app.create(..., planner=...)`
    server                         uvicorn's protocols: load shedding, protection against slow clients
    worker                         queued tasks and schedules: jobs, deliveries, nightly work
    schema                         the GraphQL types, connections and mutations, a file per noun
    http                           requests and responses: HTTP, server-sent events, WebSockets, uploads
    context                        what a resolver can reach: actor, loaders, transaction
    limits                         limits of documents and values, points, rate limiter, load shedder
    seed                           demo data
    loaders, domain                reads; rules and writes. Siblings: neither imports the other
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

`docs/architecture.md` has a diagram of the packages, the life of a request, a glossary, and recipes for additions.
"""
