"""Notify GraphQL: the GraphQL API server for GOV.UK-Notify-style notification platforms.

The map. Every file is a cell of a grid, `layer/noun.py`: rows are layers (what kind of thing is said), columns are
nouns (what it is said about). Three sentences govern it: **loaders read, the domain writes, the schema translates.**

    app, cli                          where everything meets
    worker                            what happens after the answer
    schema                            GraphQL: a type, an edge or a mutation is a few lines
    context                           what a resolver can reach
    loaders | domain                  siblings: reads, and rules with writes
    access                            who can see which rows
    actors                            who is asking, and what they may do
    models | database | gateways | storage | content | recipients | errors | settings | crypto | enums

To add a field: annotate it in `schema/<noun>.py`. An edge: a line in `loaders/<noun>.py` and one in `schema/<noun>.py`.
A mutation: a function in `graphql_api/domain/<noun>.py`, its input, payload and five lines in `schema/<noun>.py`.
A table: a model in `graphql_api/models/<noun>.py`, a numbered migration, a line in `graphql_api/access.py`.
"""
