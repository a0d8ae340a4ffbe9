"""Tests of the content of messages."""
