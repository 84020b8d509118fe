"""A questionnaire: questions on a document and, for each answer, which votes it is, out of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dspy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labelmill.errors import GoldError, InputError
from labelmill.prompts.questionnaire import Asked
from labelmill.taxonomy import Taxonomy

_FORM = (
    'A file has document, guidance = [..], characters and [[questions]] with name, question, answers = ["..", ".."], '
    'several, and [questions.votes] with ANSWER = "LABEL", a list of labels, or { label, vote, confidence }.'
)


@dataclass(frozen=True, slots=True)
class AnswerVote:
    """A vote that an answer is.

    Attributes:
        label: The label's id.
        vote: 1 for, -1 against.
        confidence: In 0..1.
    """

    label: str
    vote: int = 1
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """Questions that are asked together, in one request a document. Each question is a voter, called by its name.

    Attributes:
        source: The file.
        document: What a document is, in words.
        questions: What is asked.
        votes: For each question the votes of each answer; an answer that has none is abstaining.
        guidance: Sentences that stand behind the instructions.
        characters: Of a document that are shown at most, from its beginning.
    """

    source: str
    document: str
    questions: tuple[Asked, ...]
    votes: Mapping[str, Mapping[str, tuple[AnswerVote, ...]]]
    guidance: tuple[str, ...]
    characters: int

    @classmethod
    def read(cls, path: str | Path, taxonomy: Taxonomy) -> Questionnaire:
        """Read a file, and see that its answers vote on labels that there are.

        Raises:
            InputError: The file cannot be used; the message names the question.
        """
        path = Path(path)
        try:
            form = _Form.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
        except OSError as reason:
            raise InputError(f"it cannot be read ({reason.strerror})", path=path, remedy="Check the path.") from None
        except UnicodeDecodeError:
            raise InputError("it is not UTF-8", path=path, remedy="Save it as UTF-8.") from None
        except RecursionError:
            raise InputError("it is not TOML: nested too deeply", path=path, remedy=_FORM) from None
        except tomllib.TOMLDecodeError as reason:
            raise InputError(f"it is not TOML: {reason}", path=path, remedy="Mend it.") from None
        except ValidationError as reason:
            raise InputError(_first_problem(reason), path=path, remedy=_FORM) from None
        names = [each.name for each in form.questions]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"two questions are called {twice!r}", path=path, remedy="Give one of them another name.")
        votes = {each.name: _votes(each, taxonomy, path) for each in form.questions}
        asked = tuple(Asked(each.name, each.question, each.answers, each.several) for each in form.questions)
        return cls(str(path), form.document, asked, votes, form.guidance, form.characters)


class _Vote(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(min_length=1)
    vote: int = Field(default=1, ge=-1, le=1)
    confidence: float = Field(default=1.0, gt=0, le=1)


_Votes = str | _Vote | tuple[str | _Vote, ...]


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=60)
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=2)
    several: bool = False
    votes: dict[str, _Votes] = Field(min_length=1)


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str = Field(default="a document", min_length=1)
    guidance: tuple[str, ...] = ()
    characters: int = Field(default=6000, ge=100)
    questions: tuple[_Question, ...] = Field(min_length=1)


def _votes(question: _Question, taxonomy: Taxonomy, path: Path) -> dict[str, tuple[AnswerVote, ...]]:
    """Resolve the labels that answers vote on."""

    def wrong(message: str, remedy: str) -> InputError:
        return InputError(f"question {question.name!r}: {message}", path=path, remedy=remedy)

    if not question.name.isidentifier() or question.name == "text" or question.name.startswith("_"):
        raise wrong("the name cannot be that of an answer", "Use letters, digits and _, and not 'text'.")
    if hasattr(dspy.Signature, question.name):
        raise wrong("the name is one that DSPy's signatures use themselves", "Give it another, as topic or about.")
    if not all(answer.strip() for answer in question.answers) or len(set(question.answers)) < len(question.answers):
        raise wrong("an answer is empty, or there twice", "Give each answer once.")
    if unknown := [answer for answer in question.votes if answer not in question.answers]:
        raise wrong(f"{unknown[0]!r} is voted by and is no answer", f"Its answers: {', '.join(question.answers)}.")
    found: dict[str, tuple[AnswerVote, ...]] = {}
    for answer, given in question.votes.items():
        some = given if isinstance(given, tuple) else (given,)
        said = [_Vote(label=each) if isinstance(each, str) else each for each in some]
        if any(each.vote == 0 for each in said):
            raise wrong(f"the vote of {answer!r} is 0", "Use 1 or -1; leave an answer out that abstains.")
        try:
            ids = [taxonomy[taxonomy.resolve(each.label)].id for each in said]
        except GoldError as reason:
            raise wrong(f"{answer!r} votes on no label: {reason}", "Name an id or a unique name.") from None
        votes = {label: AnswerVote(label, each.vote, each.confidence) for label, each in zip(ids, said, strict=True)}
        if len(votes) < len(said):
            raise wrong(f"{answer!r} votes twice on a label", "Let it vote once.")
        found[answer] = tuple(votes.values())
    return found


def votes_of(questionnaire: Questionnaire, name: str, said: Sequence[str]) -> list[AnswerVote]:
    """Say which votes answers to a question are; of two on one label, the one for it counts."""
    found: dict[str, AnswerVote] = {}
    for answer in said:
        for vote in questionnaire.votes[name].get(answer, ()):
            if vote.label not in found or vote.vote > found[vote.label].vote:
                found[vote.label] = vote
    return list(found.values())


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"] if not str(part).startswith(("_", "tuple", "str")))
    if problem["type"] == "extra_forbidden":
        return f"unknown field {place!r}"
    if problem["type"] == "missing":
        return f"{place!r} is missing"
    return f"field {place!r}: {problem['msg'].lower()}"
