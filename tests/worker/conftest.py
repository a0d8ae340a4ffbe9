"""Fixtures of the worker's tests."""

from tests.worker.harnesses import harness, worker_url

__all__ = ["harness", "worker_url"]
