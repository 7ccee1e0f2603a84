"""Chapters on what a run has written down of itself, and what it was measured to do."""
