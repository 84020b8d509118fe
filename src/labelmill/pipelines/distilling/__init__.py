"""Distilling: a student that learns from a run's own labels, and what its answers are worth."""

from labelmill.pipelines.distilling.distill import Distilled, distill

__all__ = ["Distilled", "distill"]
