"""Windows: runs of words that a label could be named by."""

from __future__ import annotations

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.pipelines import windows as module
from labelmill.pipelines.windows import windows

WORDS = st.sampled_from(
    ["the", "The", "THE", "und", "IT", "it", "bread", "rye", "C++", "C#", "R&D", "bees,", "(old)", "é", "漢字", "U.S."]
)
SPACES = st.sampled_from([" ", "  ", "\t", "\n", ". ", "; ", ": ", "! ", " | "])
TEXTS = st.text() | st.lists(st.tuples(WORDS, SPACES)).map(lambda pairs: "".join(word + space for word, space in pairs))


def inner(text: str) -> list[str]:
    return [word.strip(module._EDGES) for word in text.split() if word.strip(module._EDGES)]


def test_the_example_is_true():
    """The one in the docstring."""
    assert doctest.testmod(module).failed == 0


@given(text=TEXTS, longest=st.integers(1, 8))
def test_a_window_is_a_run_of_the_words_of_the_text(text, longest):
    """Each once, of at most `longest` words, in the order of the text, without what surrounds words."""
    found = windows(text, longest)
    assert len(set(found)) == len(found)
    words = f" {' '.join(inner(text))} "
    for window in found:
        assert 1 <= len(window.split()) <= longest
        assert all(word == word.strip(module._EDGES) != "" for word in window.split())
        if "|" not in text and "·" not in text and "\u2022" not in text:  # these part words too
            assert f" {window} " in words


def written_out(text: str, longest: int) -> list[str]:
    """List windows by the definition, one word after the other."""
    sentences = [
        [word for word in (run.strip(module._EDGES) for run in re.findall(r"\S+", sentence)) if word]
        for sentence in module._SENTENCE_END.split(text)
    ]
    usual = [[module._usual(word, first=place == 0) for place, word in enumerate(words)] for words in sentences]
    language = module._language({word: module._languages_of(word) for words in usual for word in words})
    found = [
        " ".join(words[start:end])
        for words, lowered in zip(sentences, usual, strict=True)
        for start in range(len(words))
        for end in range(start + 1, min(start + longest, len(words)) + 1)
        if all(language not in module._languages_of(lowered[place]) for place in (start, end - 1))
    ]
    return list(dict.fromkeys(found))


@given(text=TEXTS, longest=st.integers(1, 8))
def test_they_are_what_the_definition_says(text, longest):
    """In its order; also in the places, of which some windows have several."""
    assert windows(text, longest) == written_out(text, longest)
    words, starts, ends = module.find_windows(text, longest)
    found = [" ".join(words[start:end]) for start, end in zip(starts, ends, strict=True)]
    assert list(dict.fromkeys(found)) == windows(text, longest)


@given(text=st.lists(WORDS, min_size=1, max_size=12).map(" ".join))
def test_no_window_begins_or_ends_with_a_function_word(text):
    """Unless it is written in capitals, and so is another word; or is one of another language than the text."""
    for window in windows(f"{text} of the"):
        first, last = window.split()[0], window.split()[-1]
        assert first not in {"the", "it"}
        assert last not in {"the", "it"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("operate die casting machines", "die casting"),
        ("wanted: a van driver", "van driver"),
        ("wanted: a van driver", "van"),
        ("We need a tool and die maker for the night.", "die maker"),
        ("die Maschine", "die Maschine"),  # one word is too little to tell a language by
    ],
)
def test_a_name_is_not_lost_to_another_language(text, name):
    """An English name may begin with a word that is a function word elsewhere."""
    assert name in windows(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Der Bäcker und die Bäckerin backen mit dem Lehrling das Brot.", {"der", "und", "die", "mit", "dem", "das"}),
        ("Le boulanger prépare le pain avec une levure pour les clients.", {"le", "avec", "une", "pour", "les"}),
        ("De bakker van het dorp bakt het brood met een oven.", {"de", "van", "het", "met", "een"}),
        ("El panadero hace el pan con la masa para los clientes.", {"el", "con", "la", "para", "los"}),
    ],
)
def test_a_text_is_pruned_in_its_own_language(text, words):
    """Its function words, found together, tell which it is."""
    edges = {edge.lower() for window in windows(text) for edge in (window.split()[0], window.split()[-1])}
    assert edges
    assert not edges & words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n ", []),
        ("the and of", []),
        ("The IT of it", ["IT"]),
        ("the Rust Book", ["Rust", "Rust Book", "Book"]),
        ("bake bread. Sell it", ["bake", "bake bread", "bread", "Sell"]),
        ("red • blue | green", ["red", "blue", "green"]),
        ("R&D, C++ (C#)", ["R&D", "R&D C++", "R&D C++ C#", "C++", "C++ C#", "C#"]),
        ("tea tea", ["tea", "tea tea"]),
        ("der Bäcker und die Bäckerin", ["Bäcker", "Bäcker und die Bäckerin", "Bäckerin"]),
    ],
)
def test_these_texts_have_these_windows(text, found):
    """No window reaches over the end of a sentence, a bullet or a bar."""
    assert windows(text) == found


def test_a_text_of_n_words_has_six_windows_a_word_at_most():
    """So that a long document stays cheap."""
    words = [f"word{n}" for n in range(500)]
    assert len(windows(" ".join(words))) == 6 * 500 - 15
