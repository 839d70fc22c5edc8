"""The rows, one file a kind of work."""
