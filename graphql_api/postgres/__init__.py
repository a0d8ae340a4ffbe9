"""The embedded PostgreSQL: a server as a child process, which stops with its owner.

    servers     `start`: a running server, its owner and its watchdog
    clusters    a data folder: the cluster's files, the password, a server left over
    binaries    PostgreSQL's programs, and the account that runs them

A data folder holds ``cluster/`` (PostgreSQL's own files), ``password``, ``log`` and ``lock``. The process that holds
the lock owns the server: a server without an owner is stopped, one with an owner is shared. A watchdog, a shell that
reads from a pipe, stops the server when its owner ends, even by SIGKILL.

PostgreSQL does not run as root, so root drops to the account that owns the cluster, or else to `postgres` or
`nobody`. That account often has no access to the path of the checkout. No permissions are changed for it: it inherits
an open descriptor of the cluster, whose path is ``/proc/self/fd/N``. Programs cannot be run by such a path: where the
account cannot run those of the wheel, they are copied once to a new folder of root's in ``/var/lib``, whose path is
stored in the data folder's ``binaries``.

It imports the standard library, and of this project only `errors`.
"""

from graphql_api.postgres.binaries import PostgresError, find_binaries
from graphql_api.postgres.servers import PostgresServer, start

__all__ = ["PostgresError", "PostgresServer", "find_binaries", "start"]
