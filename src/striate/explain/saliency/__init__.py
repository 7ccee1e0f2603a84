"""Saliency: which parts of a picture speak for an answer, and whether the map that says so can be believed."""
