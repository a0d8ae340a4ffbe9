"""Parts of an operation that are read level by level."""
