"""Task cards: the wording of a task as a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelmill.errors import TaskError
from labelmill.prompts.card import Example, TaskCard

ROOT = Path(__file__).parent.parent.parent

WHOLE = """
document = "a step of a recipe"
label = "a technique, \\"as written\\""
guidance = ["Leave out tools.", "Grüße, 東京 🥖"]

[[examples]]
text = "Fold in the egg whites."
phrases = ["folding"]
labels = ["folding, by hand"]
"""


@pytest.fixture
def card(tmp_path):
    """Write a card and read it."""

    def read(content):
        path = tmp_path / "task.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return TaskCard.read(str(path))

    return read


def test_every_field_is_read(card):
    """What is written arrives as it is."""
    assert card(WHOLE) == TaskCard(
        document="a step of a recipe",
        label='a technique, "as written"',
        guidance=("Leave out tools.", "Grüße, 東京 🥖"),
        examples=(Example(text="Fold in the egg whites.", phrases=("folding",), labels=("folding, by hand",)),),
    )


def test_an_empty_card_is_the_usual_task(card):
    """Every field has a value that fits any corpus."""
    assert card("") == TaskCard()
    assert TaskCard().document
    assert TaskCard().label


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_read(path):
    """The cards that come with the project are cards."""
    assert TaskCard.read(path).label != TaskCard().label


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('labels = "x"', "unknown field 'labels'"),
        ('[[examples]]\ntext = "x"\nphrases = ["y"]\nnote = "z"', r"unknown field 'examples\.0\.note'"),
        ('guidance = "one sentence"', "field 'guidance': .*tuple"),
        ("document = 7", "field 'document': .*string"),
        ('document = ""', "field 'document': .*at least 1 character"),
        ('[[examples]]\ntext = "x"', r"field 'examples\.0\.phrases': field required"),
        ('[[examples]]\ntext = "x"\nphrases = []', r"field 'examples\.0\.phrases': .*at least 1"),
        ('document = "a"\nlabel = = "b"', "not valid TOML: .*line 2"),
        ('document = "a\n', "not valid TOML: .*line 1"),
        ('document = "a"\ndocument = "b"', "not valid TOML: "),
        (b'document = "\xff"', "not UTF-8"),
        ('document = "a"'.encode("utf-16"), "not UTF-8"),
        (b"a = " + b"[" * 5000, "not valid TOML"),
    ],
)
def test_a_card_that_cannot_be_used(card, tmp_path, content, message):
    """The file, what is wrong and what to do, on one line."""
    with pytest.raises(TaskError, match=rf"^{tmp_path}/task\.toml:(\d+:)? .*{message}") as caught:
        card(content)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.remedy


def test_the_line_is_named(card, tmp_path):
    """Where the parser knows the line, the message leads there."""
    with pytest.raises(TaskError, match=rf"^{tmp_path}/task\.toml:3: not valid TOML: "):
        card('document = "a"\n\nlabel = = "b"')


@pytest.mark.parametrize(("name", "message"), [("nowhere.toml", "no such file"), (".", "cannot be read")])
def test_a_card_that_is_not_there(tmp_path, name, message):
    """A missing file and a folder are told as such, with the remedy."""
    with pytest.raises(TaskError, match=message) as caught:
        TaskCard.read(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)
    assert caught.value.remedy


def test_a_byte_order_mark_is_read_over(card):
    """Editors on Windows write one; it says nothing."""
    assert card(b"\xef\xbb\xbf" + WHOLE.encode()) == card(WHOLE)
