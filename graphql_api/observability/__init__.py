"""Observability: metrics, logs, statistics of an operation, masked errors.

    operation_stats       statistics of the current operation
    metrics               Prometheus metrics of a process
    logs                  structured logs without personal data
    error_masking         errors as callers see them
    error_descriptions    an exception without its message, for logs

Imports nothing of `auth`.
"""
