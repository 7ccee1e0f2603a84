"""Networks behind one contract: the documents' own, the default fast net, ResNet."""

from striate.models import documents, fast, resnet
from striate.models.contract import MODELS, Architecture, Classifier, build, place

__all__ = ["MODELS", "Architecture", "Classifier", "build", "documents", "fast", "place", "resnet"]
