"""The formats of exported files; importing them enters each in `FORMATS`."""

from striate.deploy.export.formats import onnx, pt2, torchscript  # noqa: F401
from striate.deploy.export.formats.format import FORMATS, Answers, Format, Run

__all__ = ["FORMATS", "Answers", "Format", "Run"]
