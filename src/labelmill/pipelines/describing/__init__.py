"""Describing labels by the documents that have them: drafts of descriptions and instructions, and usage phrases."""

from labelmill.pipelines.describing.describe import Described, DescribeProgress, OnDescribe, describe
from labelmill.pipelines.describing.documents import LabelledDocuments
from labelmill.pipelines.describing.phrase import Phrased, phrase

__all__ = ["DescribeProgress", "Described", "LabelledDocuments", "OnDescribe", "Phrased", "describe", "phrase"]
