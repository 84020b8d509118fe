"""Has the libraries themselves load what labelmill wrote; runs in their environment, which has no labelmill.

Usage: python load_in_libraries.py LIBRARY FILE…; prints JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def snorkel(path: str) -> dict[str, Any]:
    """Analyse a label matrix, and train the label model on it."""
    import pandas as pd
    from snorkel.labeling import LFAnalysis
    from snorkel.labeling.model import LabelModel, MajorityLabelVoter

    arrays = np.load(path, allow_pickle=False)
    matrix = arrays["L"].astype(int)
    cardinality = 2 if "row_label" in arrays else len(arrays["label_ids"])
    summary = LFAnalysis(matrix).lf_summary()
    assert isinstance(summary, pd.DataFrame)
    model = LabelModel(cardinality=cardinality, verbose=False)
    model.fit(matrix, n_epochs=20, seed=1, progress_bar=False)
    majority = MajorityLabelVoter(cardinality=cardinality).predict(matrix, tie_break_policy="abstain")
    return {
        "coverage": dict(zip(arrays["lf_names"].tolist(), summary["Coverage"].tolist(), strict=True)),
        "probabilities": list(model.predict_proba(matrix).shape),
        "majority": majority.tolist(),
        "documents": arrays["document_ids"].tolist(),
        "labels": arrays["label_ids"].tolist(),
        "L": matrix.tolist(),
    }


def cleanlab(path: str, labels: str = "") -> dict[str, Any]:
    """Look for label issues, of one label a document or of several."""
    arrays = np.load(path, allow_pickle=False)
    if "pred_probs" in arrays:
        probabilities = arrays["pred_probs"]
    else:
        from scipy.sparse import csr_array

        parts = (arrays["pred_probs_data"], arrays["pred_probs_indices"], arrays["pred_probs_indptr"])
        probabilities = csr_array(parts, shape=tuple(arrays["pred_probs_shape"])).toarray()
    if labels:
        from cleanlab.multilabel_classification import get_label_quality_scores
        from cleanlab.multilabel_classification.filter import find_label_issues

        given = json.loads(Path(labels).read_text(encoding="utf-8"))
        found = find_label_issues(given, probabilities)
        scores = get_label_quality_scores(given, probabilities)
    else:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores

        given = arrays["labels"].tolist()
        found = find_label_issues(arrays["labels"], probabilities, n_jobs=1)
        scores = get_label_quality_scores(arrays["labels"], probabilities)
    return {
        "labels": given,
        "probabilities": probabilities.tolist(),
        "issues": arrays["document_ids"][found].tolist(),
        "worst": arrays["document_ids"][np.argsort(scores)][0],
    }


def datasets(folder: str, cache: str) -> dict[str, Any]:
    """Load both configurations."""
    from datasets import load_dataset

    documents = load_dataset(folder, split="train", cache_dir=cache)
    labels = load_dataset(folder, "labels", split="train", cache_dir=cache)
    return {"features": str(documents.features), "documents": documents.to_list(), "labels": labels.to_list()}


def label_studio(tasks: str, interface: str) -> dict[str, Any]:
    """Validate tasks and their predictions against the labelling interface."""
    from label_studio_sdk.label_interface import LabelInterface

    view = LabelInterface(Path(interface).read_text(encoding="utf-8"))
    view.validate()
    read = json.loads(Path(tasks).read_text(encoding="utf-8"))
    tasks_fit = [view.validate_task({"data": task["data"]}) for task in read]
    errors = [view.validate_prediction(each, return_errors=True) for task in read for each in task["predictions"]]
    control = view.get_control("labels")
    return {"tasks": tasks_fit, "errors": errors, "control": control.tag, "choices": sorted(control.labels)}


def argilla(records: str, settings: str) -> dict[str, Any]:
    """Load records and settings as Argilla does, without a server."""
    import argilla as rg
    from argilla._models import FieldModel, QuestionModel

    loaded = [rg.Record.from_dict(each) for each in json.loads(Path(records).read_text(encoding="utf-8"))]
    made = json.loads(Path(settings).read_text(encoding="utf-8"))
    questions = [QuestionModel(**each) for each in made["questions"]]
    fields = [FieldModel(**each) for each in made["fields"]]
    for record in loaded:
        record.api_model()
    return {
        "records": [each.to_dict() for each in loaded],
        "options": [option["value"] for option in questions[0].settings.options],
        "field": fields[0].name,
    }


if __name__ == "__main__":
    library, *given = sys.argv[1:]
    sys.stdout.write(json.dumps(globals()[library](*given)) + "\n")
