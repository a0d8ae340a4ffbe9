"""Fixtures of the fault tests."""

from tests.worker.harnesses import harness, worker_url

__all__ = ["harness", "worker_url"]
