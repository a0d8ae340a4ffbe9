"""Connections to PostgreSQL: engines, pools, replicas, error codes, notifications."""
