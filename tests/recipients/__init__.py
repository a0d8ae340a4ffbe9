"""Tests of recipients."""
