"""Fixtures of the fuzz tests: a database of their own."""

from tests.worker.harnesses import harness, worker_url

__all__ = ["harness", "worker_url"]
