"""Fixtures of the tests that break things."""

from tests.worker.harnesses import harness, worker_url

__all__ = ["harness", "worker_url"]
