"""Measuring a network: metrics with intervals, per class, and every single prediction."""

from striate.evaluation.evaluate import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
