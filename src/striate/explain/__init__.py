"""Showing: pictures of data, what a network makes of them, and what it has learned (`striate.chapters`)."""
