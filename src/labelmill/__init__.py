"""Label a corpus against any taxonomy with a language model that you host.

>>> from labelmill import Labeler, Taxonomy
>>> labeler = Labeler(Taxonomy.from_names(["cook Italian dishes", "repair bicycles"]), embedders=["wordllama"])
>>> [labels] = labeler.label(["We look for a cook with a love of Italy."])
>>> labels[0].name
'cook Italian dishes'

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelmill.errors import LabelmillError
    from labelmill.pipelines.distilling.distill import distill
    from labelmill.pipelines.infer_retrieve_rank import InferRetrieveRank
    from labelmill.pipelines.labeler import Labeler
    from labelmill.pipelines.program_file import ProgramFile
    from labelmill.pipelines.tuning.tune import tune
    from labelmill.pipelines.voting.functions import labeling_function
    from labelmill.prompts.card import TaskCard
    from labelmill.records import Candidate, Document, Failure, Label, LaneHit, Prediction
    from labelmill.taxonomy import Taxonomy

__version__ = "0.1.0"

_HOMES = {
    "Candidate": "labelmill.records",
    "Document": "labelmill.records",
    "Failure": "labelmill.records",
    "InferRetrieveRank": "labelmill.pipelines.infer_retrieve_rank",
    "Label": "labelmill.records",
    "Labeler": "labelmill.pipelines.labeler",
    "LabelmillError": "labelmill.errors",
    "LaneHit": "labelmill.records",
    "Prediction": "labelmill.records",
    "ProgramFile": "labelmill.pipelines.program_file",
    "TaskCard": "labelmill.prompts.card",
    "Taxonomy": "labelmill.taxonomy",
    "distill": "labelmill.pipelines.distilling.distill",
    "labeling_function": "labelmill.pipelines.voting.functions",
    "tune": "labelmill.pipelines.tuning.tune",
}

__all__ = [
    "Candidate",
    "Document",
    "Failure",
    "InferRetrieveRank",
    "Label",
    "Labeler",
    "LabelmillError",
    "LaneHit",
    "Prediction",
    "ProgramFile",
    "TaskCard",
    "Taxonomy",
    "__version__",
    "distill",
    "labeling_function",
    "tune",
]


def __getattr__(name: str) -> object:
    """Load a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
