"""Serving a trained network over HTTP: `lifecycle.py` starts and ends it, `service.py` is what answers."""
