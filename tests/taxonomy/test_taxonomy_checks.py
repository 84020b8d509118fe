"""The check of a taxonomy file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelmill.taxonomy import Taxonomy, check
from labelmill.taxonomy.integrity import cycles

DATA = Path(os.environ.get("LABELMILL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def found(tmp_path: Path, *records: dict[str, object] | str) -> list[tuple[str, str, int | None]]:
    """Check records, and give severity, code and line of every problem."""
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(record if isinstance(record, str) else json.dumps(record) for record in records))
    return [(problem.severity, problem.code, problem.line) for problem in check(path).problems]


def test_a_sound_taxonomy_has_no_problems(tmp_path):
    """Nothing is reported where nothing is wrong."""
    assert found(tmp_path, {"id": "a", "name": "bread"}, {"id": "b", "name": "rye", "parents": ["a"]}) == []


def test_every_error_is_found_in_one_go(tmp_path):
    """A line that cannot be read does not hide the problems of the others; errors come in the order of the lines."""
    assert found(
        tmp_path,
        {"id": "a", "name": "bread", "parents": ["b"]},
        {"id": "a", "name": "rye"},
        {"id": " ", "name": "oat"},
        "{",
        {"id": "d", "name": ""},
    ) == [
        ("error", "duplicate-id", 2),
        ("error", "empty-id", 3),
        ("error", "unreadable-row", 4),
        ("error", "empty-name", 5),
        ("warning", "orphan", 1),
    ]


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ([{"id": "a", "name": "Bread"}, {"id": "b", "name": "bread "}], ("warning", "same-name", 2)),
        ([{"id": "a", "name": "bread", "alt": ["RYE"]}, {"id": "b", "name": "rye"}], ("warning", "shared-alias", 1)),
        ([{"id": "a", "name": "bread", "alt": ["Bread"]}], ("warning", "repeated-alias", 1)),
        ([{"id": "a", "name": "bread", "alt": ["loaf", "Loaf"]}], ("warning", "repeated-alias", 1)),
        ([{"id": "a", "name": "x" * 201}], ("warning", "long-name", 1)),
        ([{"id": "a", "name": "a", "parents": ["a"]}], ("error", "cycle", 1)),
        (
            [
                {"id": "a", "name": "a"},
                {"id": "b", "name": "b", "parents": ["a"]},
                {"id": "c", "name": "c", "parents": ["a"]},
                {"id": "d", "name": "d"},
                {"id": "e", "name": "e", "parents": ["a"]},
            ],
            ("warning", "no-parents", 4),
        ),
    ],
)
def test_each_doubt_is_told_once_with_its_line(tmp_path, records, problem):
    """Colliding names and aliases, repetitions, circles, overlong names and labels outside the hierarchy are found."""
    assert found(tmp_path, *records) == [problem]


def test_a_cycle_is_printed(tmp_path):
    """The labels that lead in a circle are shown in order."""
    path = tmp_path / "t.csv"
    path.write_text("id,name,parents\na,A,b\nb,B,c\nc,C,a\n")
    (problem,) = check(path).problems
    assert "'a' → 'b' → 'c' → 'a'" in problem.message
    assert problem.line == 2


def test_a_repeated_id_is_no_cycle(tmp_path):
    """A child that was given its parent's id by mistake does not lead back to itself; the mistake is told."""
    rows = {"id": "a", "name": "bread"}, {"id": "a", "name": "rye", "parents": ["a"]}
    assert found(tmp_path, *rows) == [("error", "duplicate-id", 2)]


@pytest.mark.parametrize("form", ["http://topics.example/topic/{}", "topic#{}", "t{}", "x:{}/"])
def test_parents_of_another_form_than_the_ids_are_one_doubt(tmp_path, form):
    """One line for all, with an example; the labels that they mean are not called outside the hierarchy."""
    rows = [{"id": "topic:00", "name": "top"}, {"id": "topic:99", "name": "lost"}]
    rows += [{"id": f"topic:{n:02}", "name": f"n{n}", "parents": [form.format(f"{n - 1:02}")]} for n in range(1, 13)]
    rows += [{"id": "topic:50", "name": "odd", "parents": ["gone"]}]
    assert found(tmp_path, *rows) == [
        ("warning", "other-form", 3),
        ("warning", "orphan", 15),
        ("warning", "no-parents", 2),
    ]
    (problem,) = [each for each in check(tmp_path / "t.jsonl").problems if each.code == "other-form"]
    assert problem.message.startswith("12 parents are ids of no label")
    assert f"{form.format('00')!r} of 'topic:01' as 'topic:00' does" in problem.message


def test_parents_that_could_be_several_ids_are_orphans(tmp_path):
    """What ends alike is not guessed at."""
    rows = [{"id": f"{kind}:1", "name": kind, "parents": ["http://x.example/1"]} for kind in "ab"]
    assert [code for _, code, _ in found(tmp_path, *rows)] == ["orphan", "orphan"]


def test_a_cycle_is_told_once():
    """A label below a cycle does not tell it again."""
    assert list(cycles({"a": ["b"], "b": ["a"], "c": ["a"], "d": ["c", "b"]})) == [["a", "b"]]


def test_an_alias_that_repeats_a_shared_name_is_one_doubt_of_each_kind(tmp_path):
    """Where two labels share a name, an alias that repeats it is no third doubt."""
    codes = [
        code for _, code, _ in found(tmp_path, {"id": "a", "name": "rye", "alt": ["Rye"]}, {"id": "b", "name": "rye"})
    ]
    assert codes == ["same-name", "repeated-alias"]


def test_a_parent_given_by_name_is_answered_with_its_id(tmp_path):
    """A parent that is a label's name and not an id is told which id to write."""
    path = tmp_path / "t.csv"
    path.write_text("id,name,parents\n1,Bread,\n2,Rye,bread\n")
    (problem,) = check(path).problems
    assert problem.remedy == "Write the id '1'."


def test_lines_stay_readable_and_the_counts_complete(tmp_path):
    """Of thousands alike, a few are shown and the rest counted; the dictionary has them all."""
    path = tmp_path / "t.csv"
    path.write_text("id,name,parents\n" + "".join(f"{number},name {number},gone\n" for number in range(5000)))
    report = check(path)
    lines = report.lines(3)
    assert len(lines) == 4
    assert lines[0].startswith(f"{path}:2: warning: the parent 'gone' of '0'")
    assert lines[-1] == f"{path}: warning: 4997 more of orphan"
    as_dict = json.loads(json.dumps(report.as_dict()))
    assert (as_dict["labels"], as_dict["counts"], len(as_dict["problems"])) == (5000, {"orphan": 5000}, 5000)


graphs = st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefgx"), max_size=4))


@settings(deadline=None)  # the machine's time is nobody's promise
@given(parents=graphs)
def test_cycles_are_found_exactly_where_they_are(parents):
    """Each cycle told is one, and taking one link out of each told cycle, again and again, leaves none."""
    remaining = {label: list(above) for label, above in parents.items()}
    for _ in range(sum(map(len, remaining.values())) + 1):
        told = list(cycles(remaining))
        for cycle in told:
            assert all(
                below in parents and above in parents[below]
                for below, above in zip(cycle, cycle[1:] + cycle[:1], strict=True)
            )
        if not told:
            break
        first = told[0]
        remaining[first[-1]] = [above for above in remaining[first[-1]] if above != first[0]]
    level = set(remaining)
    while level:  # without a cycle, taking away labels without parents takes all
        free = {label for label in level if not level & set(remaining[label])}
        assert free
        level -= free


def test_a_chain_of_parents_as_deep_as_the_taxonomy_is_walked():
    """Depth is no matter of the interpreter's recursion limit."""
    parents = {str(number): [str(number + 1)] for number in range(20_000)} | {"20000": []}
    assert list(cycles(parents)) == []
    assert len(next(cycles(parents | {"20000": ["0"]}))) == 20_001


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["esco", "gnd_tibcore", "debtags", "nlupp", "tax_eurovoc", "tax_iptc_mediatopics"])
def test_real_taxonomies_are_read_and_checked(name):
    """Published taxonomies have doubts, yet no errors, and every label is found by its id."""
    path = DATA / name / "labels.jsonl.gz"
    if not path.exists():
        pytest.skip(f"the development data is not there: {path}")
    taxonomy = Taxonomy.read(path)
    report = check(path)
    assert (report.errors, report.labels) == (0, len(taxonomy))
    assert all(taxonomy.resolve(label.id) == position for position, label in enumerate(taxonomy))
    assert len(report.lines(2)) < 30
