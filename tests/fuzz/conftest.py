"""Fixtures of the fuzz: a database of its own."""

from tests.worker.harnesses import harness, worker_url

__all__ = ["harness", "worker_url"]
