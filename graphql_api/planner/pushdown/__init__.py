"""Parts of an operation that PostgreSQL writes as JSON, in one statement each.

    compiler        an entity or a connection becomes a tree
    sql_tree        the tree, its SQL, and the steps that send it; read the example first
    sql_json        SQL for values as JSON
    sql_fragments   the statements of the loaders as text

It may import `steps`, of which it uses the protocol, the request and the arguments of connections; not the compiler of
operations.
"""
