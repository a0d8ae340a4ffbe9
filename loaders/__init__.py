"""Reads, a file per noun: what a noun can be asked for, declared as data."""
