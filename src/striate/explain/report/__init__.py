"""The report of a run: one HTML file that needs nothing beside it, for a person who was not there."""
