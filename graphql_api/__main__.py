"""`python -m graphql_api`: the commands."""

import sys

from graphql_api.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
