"""The command line: dev, serve, work, migrate, seed, schema."""
