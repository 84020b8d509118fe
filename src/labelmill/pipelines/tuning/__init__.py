"""Tuning: from tens of gold documents to a program that is better, cheaper, and means what it says."""

from labelmill.pipelines.tuning.progress import OnTune, TuneProgress
from labelmill.pipelines.tuning.tune import tune

__all__ = ["OnTune", "TuneProgress", "tune"]
