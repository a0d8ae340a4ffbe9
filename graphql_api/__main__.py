"""The command line: `python -m graphql_api`."""

import sys

from graphql_api.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
