"""Fixtures of the tests that break things."""

from tests.worker.harnesses import rig, worker_url

__all__ = ["rig", "worker_url"]
