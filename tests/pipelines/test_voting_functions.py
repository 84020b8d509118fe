"""What a labelling function may return, and which modules can be used."""

from __future__ import annotations

import pytest

from labelmill import labeling_function
from labelmill.errors import InputError
from labelmill.pipelines.voting.functions import Said, load_functions, read_answer


def test_a_marked_function_is_still_a_function():
    """It can be tried in a notebook."""

    @labeling_function
    def bread(document):
        return document

    assert bread("text") == "text"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, []),
        ("bread", [Said("bread")]),
        (["b", "a", "b"], [Said("a"), Said("b")]),
        (
            {"bread": 0.5, "soup": -1, "salad": True, "pie": False},
            [("bread", 0.5), ("soup", -1), ("salad", 1), ("pie", -1)],
        ),
    ],
)
def test_answers_are_understood(answer, said):
    """Nothing, a label, labels, labels with what they are worth."""
    assert [(each.label, each.worth) for each in read_answer(answer)] == [
        (each.label, each.worth) if isinstance(each, Said) else each for each in said
    ]


@pytest.mark.parametrize("answer", [7, ["a", 1], {"a": 0}, {"a": 2}, {"a": float("nan")}, {1: 1}, {"a": "yes"}, b"a"])
def test_other_answers_are_errors(answer):
    """They say what was returned."""
    with pytest.raises(ValueError, match="it returned"):
        read_answer(answer)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", "has no labelling function"),
        ("1 / 0", "cannot be run \\(ZeroDivisionError"),
        ("raise SystemExit(3)", "cannot be run \\(SystemExit"),
        ("def f(", "cannot be run \\(SyntaxError"),
        (
            "from labelmill import labeling_function as lf\n@lf(name='a')\ndef f(d): ...\n@lf(name='a')\ndef g(d): ...",
            "two labelling functions are called 'a'",
        ),
    ],
)
def test_modules_that_cannot_be_used_are_named(tmp_path, code, message):
    """With the file and the reason."""
    path = tmp_path / "votes.py"
    path.write_text(code)
    with pytest.raises(InputError, match=message) as caught:
        load_functions(path)
    assert str(path) in str(caught.value)


def test_functions_come_in_the_order_of_the_file(tmp_path):
    """Under their names; one that is imported under two names is one."""
    path = tmp_path / "votes.py"
    path.write_text(
        "from labelmill import labeling_function\n@labeling_function\ndef b(d): ...\n"
        "@labeling_function(name='other')\ndef a(d): ...\nagain = b\n"
    )
    assert list(load_functions(path)) == ["b", "other"]
