"""The one tree of errors that labelmill raises on purpose.

::

    LabelmillError
    ├── InputError           something the user gave is wrong
    │   ├── TaxonomyError    a taxonomy file
    │   ├── CorpusError      a corpus as a whole (one bad document is a Failure row, not an error)
    │   ├── TaskError        a task card
    │   └── GoldError        gold labels that cannot be resolved
    ├── StoreError           the DuckDB file: locked, full, of another version, an unknown run
    ├── MissingExtraError    an optional dependency is not installed
    ├── ArtifactError        an embedded model's files cannot be fetched or do not match their checksum
    └── ModelError           a language model or embedder server
        ├── ModelUnavailable no answer to this request, also after the retries
        │   └── ModelGone    no server answers at all, also after a long wait
        ├── ModelRejected    this request only: too long, malformed
        └── ModelRefused     no request can work: unknown model, wrong key

Every message is one line that says what was wrong with which value and what to do. The command line prints it and
exits with 1; nothing here knows about the command line.
"""

from __future__ import annotations

from pathlib import Path


class LabelmillError(Exception):
    """Anything that labelmill raises on purpose."""


class InputError(LabelmillError):
    """Something that the user gave is wrong; the message names the file, the line and the remedy.

    Args:
        message: What is wrong, and with which value.
        path: The file, where there is one.
        line: The line of the file, counted from 1.
        remedy: What to do, as an imperative sentence.
    """

    def __init__(
        self, message: str, *, path: str | Path | None = None, line: int | None = None, remedy: str = ""
    ) -> None:
        """Compose the one line from its parts and keep the parts."""
        self.path = None if path is None else str(path)
        self.line = line
        self.remedy = remedy
        place = f"{self.path}:{line}: " if self.path and line else f"{self.path}: " if self.path else ""
        text = f"{place}{message}"
        super().__init__(f"{text.rstrip('.')}. {remedy}" if remedy else text)


class TaxonomyError(InputError):
    """A taxonomy file cannot be used."""


class CorpusError(InputError):
    """A corpus cannot be read at all."""


class TaskError(InputError):
    """A task card cannot be used."""


class GoldError(InputError):
    """Gold labels cannot be resolved against the taxonomy."""


class StoreError(LabelmillError):
    """The DuckDB file cannot be used as asked."""


class MissingExtraError(LabelmillError):
    """An optional dependency is not installed.

    Args:
        what: What needs it, for example ``the embedder 'minilm'``.
        extra: The extra of this package that brings it.
    """

    def __init__(self, what: str, extra: str) -> None:
        """Say who needs what, and the line that installs it."""
        super().__init__(f"{what} needs the extra {extra!r}. Install it with: pip install 'labelmill[{extra}]'")


class ArtifactError(LabelmillError):
    """An embedded model's files cannot be fetched, or do not match their checksum."""


class ModelError(LabelmillError):
    """A language model or an embedder behind a server.

    Attributes:
        attempts: How often the request was sent that brought it; 0 where answers did.
    """

    attempts: int = 1


class ModelUnavailable(ModelError):  # noqa: N818 - a state, not an error's name
    """No answer: connection refused or broken, time out, 408, 429 or 5xx, or an answer that is none."""


class ModelGone(ModelUnavailable):
    """No server of the model answers at all, and none came back for as long as was waited."""


class ModelRejected(ModelError):  # noqa: N818
    """The server refuses this request only: too long for the context, or malformed."""


class ModelRefused(ModelError):  # noqa: N818
    """No request to this server can work: unknown model, wrong key, no such endpoint."""
