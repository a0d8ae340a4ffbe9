"""The command line: dev, serve, work, migrate, seed, schema.

    cli         the commands and their arguments
    serve       the server process: the socket and uvicorn
    dev         `./run dev`: PostgreSQL, migrations, demo data, server and worker together
    terminal    output of the commands

The top layer: nothing imports it.
"""
