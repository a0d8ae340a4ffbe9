"""The benchmark: this server against hand-written SQL and PostGraphile, on the same data and the same cores.

databases       the data, on a PostgreSQL of its own
scenarios       the requests of each scenario, for each server
servers         starts and stops the servers; handwritten, unplanned: two of them
responses       compares the servers' responses
clients         sends requests on a fixed number of connections
measurements    processor time, memory, statements
runs            measures all servers in turn
tables, charts  the results as text and as SVG
"""
