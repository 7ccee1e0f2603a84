"""Showing: pictures of data, and of what a network makes of them."""
