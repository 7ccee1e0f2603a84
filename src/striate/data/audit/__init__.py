"""The check of a data set: what in it keeps training from starting, falsifies its figures, or is good to know."""
