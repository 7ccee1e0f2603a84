"""Measuring a network: metrics with intervals, per class, and every single prediction."""

from striate.evaluation.evaluate import evaluate
from striate.evaluation.result import Evaluation, MultiLabelEvaluation, SingleLabelEvaluation

__all__ = ["Evaluation", "MultiLabelEvaluation", "SingleLabelEvaluation", "evaluate"]
