"""From the options of a command to a `Labeler`, for every command that runs a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelmill.cli import options
from labelmill.cli.console import Progress, say

if TYPE_CHECKING:
    from labelmill.pipelines.labeler import Labeler


def open_labeler(
    taxonomy: Path,
    shown: Progress,
    *,
    labels_where: str | None,
    language: str,
    lm: list[str] | None,
    embedder: list[str] | None,
    infer: options.InferChoice | None,
    rank: options.RankChoice,
    **settings: Any,
) -> Labeler:
    """Read the taxonomy, fetch what is missing of embedded models, and make the labeler."""
    from labelmill.pipelines.labeler import Labeler
    from labelmill.taxonomy import Taxonomy

    labels = Taxonomy.read(taxonomy, where=labels_where, language=language)
    models, embedders = lm or ["none"], embedder or ["minilm"]
    _fetch_models([*embedders, *(["smollm2"] if "embedded" in models else [])], shown)
    if models == ["none"] and infer in {None, options.InferChoice.windows} and rank is options.RankChoice.fusion:
        say("No language model: infer=windows, rank=fusion. Give one with --lm.")
    return Labeler(
        labels,
        lm=models,
        infer=None if infer is None else infer.value,
        rank=rank.value,
        embedders=embedders,
        progress=shown.building,
        **settings,
    )


def _fetch_models(names: list[str], shown: Progress) -> None:
    """Fetch the files of embedded models first, with a progress bar, rather than silently with the first text."""
    from labelmill.models.catalog import fetch_model, list_models

    for model in list_models():
        if model.name in names and not model.cached:
            fetch_model(model.name, shown.fetching)
            shown.end()
