"""Rules out of files, and names of labels in texts."""

from __future__ import annotations

import csv

import pytest

from labelmill.errors import InputError
from labelmill.pipelines.voting.aliases import AliasMatches
from labelmill.pipelines.voting.rules import RuleVoter, read_rules
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy

TOML = """
[[rules]]
label = "bread"
words = ["rye flour", "C++"]
[[rules]]
label = "soup"
regex = ["broth|stock", "(?i:LADLE)"]
against = true
confidence = 0.5
voter = "kitchen"
"""
JSONL = """{"label": "bread", "words": ["rye flour", "C++"]}

{"label": "soup", "regex": ["broth|stock", "(?i:LADLE)"], "against": true, "confidence": 0.5, "voter": "kitchen"}
"""
CSV = """label,words,regex,against,confidence,voter
bread,rye flour|C++,,,,
soup,,"[""broth|stock"", ""(?i:LADLE)""]",yes,0.5,kitchen
"""


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(("suffix", "text"), [("toml", TOML), ("jsonl", JSONL), ("csv", CSV)])
def test_formats_say_the_same(tmp_path, suffix, text, mark):
    """Words are whole words in any case; expressions are found anywhere; a rule without voter is of the file."""
    path = tmp_path / f"mine.{suffix}"
    path.write_text(mark + text, encoding="utf-8")
    rules = read_rules(path)
    assert list(rules) == ["mine", "kitchen"]
    mine, kitchen = (RuleVoter.of(name, some) for name, some in rules.items())
    assert mine.vote("Sift the RYE\n FLOUR.") == {"bread": 1.0}
    assert mine.vote("I know C++ well") == {"bread": 1.0}
    assert mine.vote("rye flours") == {}
    assert kitchen.vote("a chicken broth") == kitchen.vote("a ladle") == {"soup": -0.5}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"label": "a", "words": ["b"]}\n{"label": "a", "regex": ["("]}', 2, "the expression '\\('"),
        ('{"label": "a", "regex": ["a{9999999999}"]}', 1, "the repetition number is too large"),
        ('{"label": "a", "worts": ["b"]}', 1, "no field 'worts'"),
        ('{"label": "", "words": ["b"]}', 1, "needs a label"),
        ('{"label": "a"}', 1, "neither words nor regex"),
        ('{"label": "a", "words": [1]}', 1, "lists of texts"),
        ('{"label": "a", "words": ["b"], "confidence": 2}', 1, "confidence 2.0"),
        ('{"label": "a", "words": ["b"], "against": "perhaps"}', 1, "against is 'perhaps'"),
        ("{", 1, "not JSON"),
        ("[]", 1, "not a JSON object"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named_by_its_line(tmp_path, text, line, message):
    """One line: file, line, what is wrong."""
    path = tmp_path / "rules.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_rules(path)
    assert f"{path}:{line}: " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.toml", "x = 1", "not a list"),
        ("r.toml", "[[rules", "not TOML"),
        ("r.toml", "rules = " + "[" * 100_000, "it cannot be read"),
        ("r.jsonl", '{"label": ' + "[" * 100_000, "it cannot be read"),
        ("r.csv", "label,words\nbread," + "x" * 200_000, "field larger than field limit"),
        ("r.jsonl", "", "no rules"),
        ("r.xls", "", "not read from .xls"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, name, text, message):
    """Whatever its format; the limit of a field is one of the process, which whoever reads a corpus raises."""
    csv.field_size_limit(131_072)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_rules(tmp_path / name)


def test_names_in_a_text_are_found_longest_first():
    """A shared name is nobody's, a short one is left out, and no part of a longer name counts."""
    taxonomy = Taxonomy.from_labels(
        [
            Label("j", "juice", ("IT", "nectar")),
            Label("f", "fruit juice"),
            Label("n", "Nektar", ("nectar",)),
            Label("c", "C++ code"),
        ]
    )
    vote = AliasMatches(taxonomy).vote
    assert vote("Fresh FRUIT-juice, it is nectar") == [1]
    assert vote("juice of fruit") == [0]
    assert vote("C++ CODE and Nektar") == [3, 2]
    assert vote("") == []
