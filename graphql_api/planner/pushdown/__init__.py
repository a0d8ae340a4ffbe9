"""Parts of an operation that PostgreSQL answers as finished JSON."""
