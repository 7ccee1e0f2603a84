"""The version, in one place: the package, the model file and the run folder read it from here."""

__version__ = "0.1.0"
