"""Fixtures of the worker's tests."""

from tests.worker.harnesses import rig, worker_url

__all__ = ["rig", "worker_url"]
