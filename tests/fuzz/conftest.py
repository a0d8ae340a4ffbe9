"""Fixtures of the fuzz: a database of its own."""

from tests.worker.harnesses import rig, worker_url

__all__ = ["rig", "worker_url"]
