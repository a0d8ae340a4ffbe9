"""The worker: runs the tasks of the queue, and scheduled tasks.

    queue            reads the queue, runs tasks, retries and holds them
    context          what tasks work with: database, object store, gateways
    jobs             processes jobs: rows of a list become messages
    notifications    delivers messages through gateways, and records receipts
    rendering        renders the rows of messages
    batches          runs concurrent small tasks of one kind together
    schedule         scheduled tasks
    health           measures the system

It imports neither GraphQL nor HTTP; rules and SQL of nouns are in the domain.
"""

from graphql_api.worker.queue import run, run_nightly

__all__ = ["run", "run_nightly"]
