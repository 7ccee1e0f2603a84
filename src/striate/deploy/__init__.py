"""Using a trained network: the Predictor."""

from striate.deploy.predictor import Prediction, Predictor, load

__all__ = ["Prediction", "Predictor", "load"]
