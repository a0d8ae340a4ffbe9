"""What happens after a request: jobs become messages, messages reach providers, and what is overdue is seen to."""

from graphql_api.worker.queue import run, run_nightly

__all__ = ["run", "run_nightly"]
