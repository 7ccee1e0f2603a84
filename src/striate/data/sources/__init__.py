"""Data sets by name, one file each, and folders of pictures."""

from striate.data.sources import celeba, cifar, digits, mnist
from striate.data.sources.registry import SOURCES, Source, load_data, open_data

__all__ = ["SOURCES", "Source", "celeba", "cifar", "digits", "load_data", "mnist", "open_data"]
