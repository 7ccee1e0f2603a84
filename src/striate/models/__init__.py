"""Networks behind one contract: the documents' own, the default fast net, the history's, and timm's by name."""

from striate.models import alexnet, documents, efficientnet, fast, googlenet, lenet, mobilenet, resnet, vgg
from striate.models.build import Architecture, build, find
from striate.models.contract import MODELS, Classifier, place

__all__ = [
    "MODELS",
    "Architecture",
    "Classifier",
    "alexnet",
    "build",
    "documents",
    "efficientnet",
    "fast",
    "find",
    "googlenet",
    "lenet",
    "mobilenet",
    "place",
    "resnet",
    "vgg",
]
