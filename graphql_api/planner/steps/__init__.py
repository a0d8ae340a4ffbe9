"""Parts of an operation that are read level by level: steps of rows, and functions that copy them into the response.

    steps           the operation plan, the step protocol, and steps of rows, lists, batches and resolvers
    connections     the step of connections
    arguments       the arguments and the selected parts of a connection, also for pushdown
    selects         what a statement selects, as SQL
    codegen         generated functions

It may import neither `pushdown` nor the compiler of operations, which make and combine the steps.
"""
