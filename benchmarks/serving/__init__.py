"""Serving: a client that checks every answer, and what other libraries make of the same network."""
