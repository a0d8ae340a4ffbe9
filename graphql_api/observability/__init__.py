"""Metrics, logs, and errors without details."""
