"""Taxonomies out of a corpus: generated with a language model or without, and measured on documents held out."""

from labelmill.pipelines.generating.generate import Generated, generate
from labelmill.pipelines.generating.progress import StepProgress

__all__ = ["Generated", "StepProgress", "generate"]
