from __future__ import annotations

from pathlib import Path

import pytest

from labelmill.artifacts import ARTIFACTS, status
from labelmill.errors import TaxonomyError
from labelmill.taxonomy.esco import esco_taxonomy

HEADER = "id,description,hierarchy_levels,type\n"
ROWS = """\
u-1,tune a harp,"[['S', 'S9', 'S9.1', 'S9.1.0'], ['T', 'T7', 'T7.2', None]]",preferredLabel
u-2,"strings, gut and nylon","[['K', 'K09', 'K091', 'K0911'], ['K', 'K09', 'K091', 'K0911']]",preferredLabel
u-3,Welsh,"[['L', 'L1', None, None]]",preferredLabel
u-1,harp tuning,"[['S', 'S9', 'S9.1', 'S9.1.0']]",altLabels
u-1,tune a harp,"[['S', 'S9', 'S9.1', 'S9.1.0']]",altLabels
u-2,"gut, strings of",,altLabels
u-1,set up a harp,,altLabels
S9.1,tuning,,level_2
K091,instruments,,level_2
T7.2,listening,,level_2
S9.1.0,tuning,,level_3
K0911,parts of instruments,,level_3
"""


@pytest.fixture
def write(tmp_path):
    def write(rows: str, header: str = HEADER) -> Path:
        path = tmp_path / "esco.csv"
        path.write_text(header + rows, encoding="utf-8")
        return path

    return write


def test_a_skill_has_its_aliases_in_order_and_not_its_own_name(write):
    taxonomy = esco_taxonomy(write(ROWS))
    skill = taxonomy[taxonomy.position("u-1")]
    assert (skill.name, skill.aliases, skill.description) == ("tune a harp", ("harp tuning", "set up a harp"), "")
    assert skill.fields == {"kind": "skill"}


def test_names_keep_their_commas(write):
    skill = esco_taxonomy(write(ROWS)).labels[1]
    assert (skill.name, skill.aliases) == ("strings, gut and nylon", ("gut, strings of",))


def test_parents_are_the_narrowest_group_of_each_path_once(write):
    """Codes that the file does not name (S, S9, L1) are no labels, so a language has no parent."""
    assert [label.parents for label in esco_taxonomy(write(ROWS))][:3] == [("S9.1.0", "T7.2"), ("K0911",), ()]


def test_groups_follow_the_skills_and_lie_in_the_group_of_their_code(write):
    taxonomy = esco_taxonomy(write(ROWS))
    assert [label.id for label in taxonomy] == ["u-1", "u-2", "u-3", "S9.1", "K091", "T7.2", "S9.1.0", "K0911"]
    assert [label.parents for label in taxonomy.labels[3:]] == [(), (), (), ("S9.1",), ("K091",)]
    assert {label.fields["kind"] for label in taxonomy.labels[3:]} == {"group"}
    assert [taxonomy[position].id for position in taxonomy.path(0)] == ["S9.1", "S9.1.0", "u-1"]


def test_reading_twice_gives_the_same_taxonomy(write):
    assert esco_taxonomy(write(ROWS)).key == esco_taxonomy(write(ROWS)).key


@pytest.mark.parametrize("levels", ["__import__('os').getcwd()", "[[", "{'S': 1}", "[['S', 4]]", "[" * 5000, "7"])
def test_a_hierarchy_that_is_no_literal_list_of_paths_is_refused_with_its_line(write, levels):
    path = write(f'u-1,tune a harp,"{levels}",preferredLabel\n')
    with pytest.raises(TaxonomyError, match=r"esco\.csv:2: .* is no list of paths\. Fetch the file again"):
        esco_taxonomy(path)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("u-1,tune a harp,[],skill\n", r":2: the type 'skill' is unknown"),
        ("u-1,tune a harp\n", r":2: a row needs 4 cells"),
        ("u-1,tune a harp,[],preferredLabel,x\n", r":2: a row needs 4 cells"),
        ("u-1,tune a harp,[],preferredLabel\nu-9,harping,,altLabels\n", r":3: an alias of the unknown skill 'u-9'"),
        ("u-1,a,[],preferredLabel\nu-1,b,[],preferredLabel\n", "u-1"),
        ("", "at least one label"),
    ],
)
def test_a_file_of_another_shape_is_refused(write, rows, complaint):
    with pytest.raises(TaxonomyError, match=complaint):
        esco_taxonomy(write(rows))


def test_other_columns_bytes_and_absent_files_are_refused(write, tmp_path):
    with pytest.raises(TaxonomyError, match=r":1: the columns are not id, description"):
        esco_taxonomy(write(ROWS, header="id,name\n"))
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"u-1,caf\xe9,[],preferredLabel\n")
    for name in ("latin.csv", "absent.csv"):
        with pytest.raises(TaxonomyError, match=rf"{name}: the file cannot be read"):
            esco_taxonomy(tmp_path / name)


@pytest.mark.models
def test_the_file_of_the_wheel_has_the_skills_of_esco():
    if not status(ARTIFACTS["esco"]).cached:
        pytest.skip("the artifact 'esco' is not in the cache")
    taxonomy = esco_taxonomy(ARTIFACTS["esco"].folder / "esco.csv")
    skills = taxonomy.where("kind = 'skill'")
    assert (len(skills), len(taxonomy) - len(skills)) == (13_412, 652)
    assert len(set(skills.names)) == len(skills)
    assert sum(len(label.aliases) for label in skills) == 83_098 - 375, "375 aliases repeat the name"
    ids = {label.id for label in taxonomy}
    assert all(parent in ids for label in taxonomy for parent in label.parents)
