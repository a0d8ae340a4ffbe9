"""Fixtures of the tests beside GOV.UK Notify."""

from tests.notify.dumps import notify

__all__ = ["notify"]
