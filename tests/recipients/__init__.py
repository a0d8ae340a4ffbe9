"""Tests of whom messages go to."""
