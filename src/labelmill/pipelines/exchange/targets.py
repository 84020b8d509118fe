"""Which files an export writes, before it does: what it would replace can be asked about first."""

from __future__ import annotations

from pathlib import Path


def files_of(target: Path, format: str, *, split: str = "train") -> list[Path]:  # noqa: A002 - the user's word
    """List the files that an export may write, the one first that shows whether the whole is there.

    Args:
        target: The file or folder that was named.
        format: One of the formats of `export_run` or `export_votes`, or ``table``.
        split: Of WRENCH.
    """
    if format == "huggingface":
        from labelmill.formats.hugging_face import CARD, DOCUMENTS, LABELS

        return [target / each for each in (CARD, DOCUMENTS, LABELS)]
    if format == "wrench":
        from labelmill.formats.wrench import CLASSES, VOTERS

        return [target / each for each in (f"{split}.json", CLASSES, VOTERS)]
    if not target.name:  # `.` or `/`: no file is called so, which the writer says
        return [target]
    if format == "label-studio":
        return [target, target.with_suffix(".xml")]
    if format == "argilla":
        return [target, target.with_suffix(".settings.json")]
    if format == "cleanlab":
        return [target, target.with_name(f"{target.stem}.labels.json")]
    return [target]


def files_replaced(target: Path, format: str, *, split: str = "train") -> list[Path]:  # noqa: A002 - the user's word
    """List those of `files_of` that are there and would be lost.

    The writers look at two kinds themselves: data of a Hugging Face folder without a card are an export's that was
    stopped, or somebody else's and refused; names of classes and voters beside another split of WRENCH have to be the
    same.
    """
    files = files_of(target, format, split=split)
    if format == "huggingface":
        files = files[:1]
    if format == "wrench":
        from labelmill.formats.wrench import SPLITS

        if any((target / f"{each}.json").exists() for each in SPLITS if each != split):
            files = files[:1]
    return [each for each in files if each.exists()]
