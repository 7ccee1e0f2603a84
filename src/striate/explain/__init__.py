"""Showing: pictures of data, and of what a network makes of them.

Called, `striate.explain(run, images, only=["saliency"])`, it returns chapters of figures, tables and values of a run
folder or model file (deploy/explaining.explain).
"""
