"""Notify GraphQL: the GraphQL API server for GOV.UK-Notify-style notification platforms.

The map. Every file is a cell of a grid, `layer/noun.py`: rows are layers (what kind of thing is said), columns are
nouns (what it is said about). Three sentences govern it: **loaders read, the domain writes, the schema translates.**

    cli, dev, serving, seed, complaints              the commands, and what they say when they cannot
    app                                              where everything meets
    http, sockets, streams, requests, documents, answers, uploads, explorer    the ways in and out
    connections, frames, guards, pressure                    what clients may hold, and how much is taken on at once
    live, events                                     connections that stay open, and what they are told of
    auth, callers, masking, logs                     who comes in, and what is told of it
    validation, lexing, shapes, limits, values, costs  what an operation may be, and what it costs, before it runs
    points, rates, shared_rates                      how much of that each caller has
    operators, metrics, usage, tally                 what is counted, and who may see the counts
    planner                                          the fast path of queries; can be left out
    worker                                           what happens after the answer
    schema                                           GraphQL: a type, an edge or a mutation is a few lines
    context                                          what a resolver can reach
    loaders | domain                                 siblings: reads, and rules with writes
    access                                           who can see which rows
    actors, attribution                              who is asking, what they may do, and whose a change is
    models, database, migrate, postgres              the tables, and how they are reached and made
    engines, replicas, pools, outages                connections: made, chosen, counted, lost
    gateways, storage, queue                         the outside world, files, work for later
    content, recipients                              what a message says, and to whom: pure rules
    enums, statuses, prices, bills, london, letter_days    words, figures and days that several layers share
    settings, crypto, tokens, jwts, errors           what everything stands on

To add a field: annotate it in `schema/<noun>.py`. An edge: a line in `loaders/<noun>.py` and one in `schema/<noun>.py`.
A mutation: a function in `graphql_api/domain/<noun>.py`, its input, payload and five lines in `schema/<noun>.py`.
A table: a model in `graphql_api/models/<noun>.py`, a numbered migration, a line in `graphql_api/access.py`.
"""
