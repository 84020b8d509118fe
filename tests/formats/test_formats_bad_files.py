"""Files of the wrong shape: one line that says which file, where and what, or an entry that is passed over; never more."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_formats import labels_of, taxonomy_of

from labelmill.errors import InputError
from labelmill.formats import Judged
from labelmill.formats.argilla import read_records
from labelmill.formats.cleanlab import read_examples
from labelmill.formats.entries import read_entries
from labelmill.formats.hugging_face import CARD, DOCUMENTS, Origin, prepare_folder, read_folder, write_documents
from labelmill.formats.label_studio import read_tasks
from labelmill.formats.snorkel import read_matrix
from labelmill.formats.wrench import read_split
from labelmill.records import Failure

_settings = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
_WORDS = [
    "id", "data", "text", "annotations", "predictions", "result", "type", "choices", "taxonomy", "value", "from_name",
    "completed_by", "fields", "responses", "suggestions", "labels", "agent", "score", "user_id", "weak_labels", "label", "meta",
    "labelmill", "run", "rank",
]  # fmt: skip
_names = st.sampled_from(_WORDS) | st.text(max_size=3)
VALUES = st.recursive(
    _scalars | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=6),
    max_leaves=40,
)


@_settings
@given(st.lists(st.dictionaries(_names, VALUES, max_size=8) | VALUES, max_size=4))
def test_any_json_is_read_or_refused_entry_by_entry(tmp_path: Path, value: list):
    """Label Studio's and Argilla's readers give a document or a failure with its line for each entry."""
    path = tmp_path / "any.json"
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
    for read in (read_tasks, read_records):
        found = list(read(path))
        assert len(found) == len(value)
        for each in found:
            assert isinstance(each, Judged | Failure)
            assert each.source.startswith(f"{path}:")


@_settings
@given(st.dictionaries(st.text(max_size=3), st.dictionaries(_names, VALUES, max_size=5) | VALUES, max_size=4))
def test_any_object_is_read_or_refused_as_wrench(tmp_path: Path, value: dict):
    """One entry after the other."""
    path = tmp_path / "train.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    (tmp_path / "label.json").write_text('{"0": "a", "1": "b"}', encoding="utf-8")
    assert len(list(read_split(path))) == len(value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("voters.json", '["a", "a"]', "voters.json: a name is there twice"),
        ("voters.json", '["a", ""]', "voters.json: this is no list of names"),
        ("voters.json", "{", "voters.json: this is not JSON"),
        ("label.json", '{"zero": "a"}', "label.json: it does not name classes by numbers"),
        ("label.json", '["a"]', "label.json: it does not name classes by numbers"),
        ("label.json", None, "label.json: there is no such file"),
    ],
)
def test_what_lies_beside_a_split_is_checked(tmp_path, name, content, words):
    """The names of classes and of voters."""
    files = {"train.json": '{"d": {"weak_labels": [0, -1]}}', "label.json": '{"0": "a"}', "voters.json": '["x", "y"]'}
    for each, text in (files | {name: content}).items():
        if text is not None:
            (tmp_path / each).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        list(read_split(tmp_path / "train.json"))
    assert words in str(error.value)


def test_voters_without_names_are_numbered(tmp_path):
    """As in what WRENCH itself hands out."""
    (tmp_path / "train.json").write_text('{"0": {"weak_labels": [1, null], "label": 0, "data": {"text": "t"}}}')
    (tmp_path / "label.json").write_text('{"0": "ham", "1": "spam"}')
    (judged,) = read_split(tmp_path / "train.json")
    assert [(each.who, [vote.label for vote in each.votes]) for each in judged.opinions] == [
        ("lf_0", ["spam"]),
        ("lf_1", []),
    ]
    assert (judged.text, judged.gold) == ("t", ("ham",))


@pytest.mark.parametrize("read", [read_tasks, read_records])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ":1: an array was expected, and nothing is there"),
        (b'{"id": 1}', ":1: an array was expected, and an object is there"),
        (b'"text"', ":1: an array was expected, and something else is there"),
        (b'[\n{"id": 1},\n{"id": }\n]', ":3: this is not JSON"),
        (b'[{"id": 1}\n{"id": 2}]', ":2: ',' or ']' was expected, and '{' is there"),
        (b'[{"id": 1},', ":1: this is not JSON"),
        (b'[{"id": 1}]\n\n[]', ":3: something follows the end"),
        (b'[\n{"id": NaN}]', ":2: this cannot be read as JSON (NaN"),
        (b'[\n"\xff"]', "not UTF-8"),
        ("[]".encode("utf-16"), "UTF-16"),
        (b"[" * 100_000, "too deep"),
        (b"[1" + b"0" * 5000 + b"]", "cannot be read as JSON"),
        (b'["never ends', ":1: this is not JSON"),
    ],
)
def test_what_is_no_json_array_is_refused_with_its_line(tmp_path, read, content, words):
    """Also where that is found out late."""
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        list(read(path, question=None))
    assert str(path) in str(error.value)
    assert words in str(error.value)


@given(
    st.lists(st.text(max_size=300) | st.integers() | st.dictionaries(st.text(max_size=4), st.integers()), max_size=30),
    st.integers(1, 40),
    st.sampled_from([None, 2]),
)
def test_entries_are_those_of_json_wherever_the_text_is_cut(tmp_path_factory, values, piece, indent):
    """With the line on which each begins."""
    from labelmill.formats import entries

    path = tmp_path_factory.mktemp("entries") / "file.json"
    path.write_text(json.dumps(values, indent=indent, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "_PIECE", piece)
        found = list(read_entries(path, of="["))
    assert [value for _, value, _ in found] == values
    lines = path.read_text(encoding="utf-8").split("\n")
    for _, value, line in found:
        assert lines[line - 1].lstrip("[ ").startswith(json.dumps(value, ensure_ascii=False)[:1]) or indent is None


def test_a_score_beyond_all_numbers_is_none(tmp_path):
    """JSON has such; whoever says it does not say how sure he is."""
    path, score = tmp_path / "records.json", 10**400
    path.write_text(json.dumps([{"id": "d", "suggestions": {"labels": {"value": ["x"], "score": [score]}}}]))
    (judged,) = read_records(path)
    assert judged.opinions[0].votes[0].confidence == 1


def test_packed_files_are_read_too(tmp_path):
    """By their suffix."""
    path = tmp_path / "tasks.json.gz"
    path.write_bytes(gzip.compress(b'[{"data": {"id": "a"}}]'))
    assert [each.document for each in read_tasks(path)] == ["a"]


def test_several_choices_in_one_task_have_to_be_told_apart(tmp_path):
    """By the name of the control."""
    path = tmp_path / "tasks.json"
    regions = [
        {"from_name": name, "type": "choices", "value": {"choices": [label]}}
        for name, label in (("a", "x"), ("b", "y"))
    ]
    path.write_text(json.dumps([{"data": {"id": "d"}, "annotations": [{"completed_by": 1, "result": regions}]}]))
    (failure,) = read_tasks(path)
    assert "name one with --question" in failure.message
    (judged,) = read_tasks(path, question="b")
    assert [vote.label for vote in judged.opinions[0].votes] == ["y"]


def test_drafts_and_cancelled_annotations_say_nothing(tmp_path):
    """And of several by one person the last counts, where no times are told."""
    tasks, records = tmp_path / "tasks.json", tmp_path / "records.json"

    def choose(who: int, label: str, **more: object) -> dict:
        region = {"from_name": "labels", "type": "choices", "value": {"choices": [label]}}
        return {"completed_by": who, "result": [region], **more}

    annotations = [choose(1, "x"), choose(2, "y", was_cancelled=True), choose(1, "z")]
    tasks.write_text(json.dumps([{"id": 5, "data": {"body": "t"}, "annotations": annotations}]))
    (judged,) = read_tasks(tasks, text_field="body")
    assert (judged.document, judged.text) == ("5", "t")
    assert [(each.who, [vote.label for vote in each.votes]) for each in judged.opinions] == [("1", ["z"])]
    responses = [
        {"value": ["x"], "user_id": "u"},
        {"value": ["y"], "user_id": "v", "status": "draft"},
        {"value": ["y"], "user_id": "w", "status": "submitted"},
    ]
    records.write_text(json.dumps([{"id": "d", "fields": {"body": "t"}, "responses": {"topic": responses}}]))
    (judged,) = read_records(records)
    assert judged.text == "t"
    assert [each.who for each in judged.opinions] == ["u", "w"]


def test_of_several_annotations_by_one_person_the_newest_counts(tmp_path):
    """Wherever it stands in the file: exports order them as they like; one without a time is the oldest."""
    tasks = tmp_path / "tasks.json"

    def choose(label: str, **more: object) -> dict:
        region = {"from_name": "labels", "type": "choices", "value": {"choices": [label]}}
        return {"completed_by": 1, "result": [region], **more}

    said = [
        choose("first", created_at="2024-05-01T10:00:00.000000Z"),
        choose("changed", created_at="2024-04-01T10:00:00Z", updated_at="2024-05-03T12:00:00+02:00"),
        choose("second", created_at="2024-05-03T09:00:00"),
        choose("untold", created_at="yesterday"),
        choose("never", created_at=7, updated_at=None),
    ]
    for order in (said, said[::-1], said[2:] + said[:2]):
        tasks.write_text(json.dumps([{"id": 5, "data": {}, "annotations": order}]))
        (judged,) = read_tasks(tasks)
        assert [[vote.label for vote in each.votes] for each in judged.opinions] == [["changed"]]


def packed(arrays: dict[str, object]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{name: np.asarray(value) for name, value in arrays.items()})
    return file.getvalue()


GOOD = {"L": [[0, -1]], "lf_names": ["a", "b"], "document_ids": ["d"], "label_ids": ["x", "y"]}


def pickled() -> bytes:
    class Evil:
        def __reduce__(self):
            return (Path("pwned").write_text, ("x",))

    file = io.BytesIO()
    np.savez(file, L=np.array([Evil()], dtype=object))
    return file.getvalue()


def beside(content: bytes, **more: int) -> bytes:
    """A file whose matrix is something else."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("L.npy", content, **more)
    return file.getvalue()


def locked() -> bytes:
    """A file that wants a password."""
    content = bytearray(beside(b"nothing"))
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def boasting() -> bytes:
    """A file whose header claims a matrix of a petabyte."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 47,)})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("L.npy", header.getvalue())
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as arrays"),
        (b"PK\x03\x04 and then nonsense", "cannot be read as arrays"),
        (b"\x93NUMPY", "cannot be read as arrays"),
        (pickled(), "cannot be read as arrays"),
        (boasting(), "cannot be read as arrays"),
        (beside(b"nothing"), "'L' is no array"),
        (beside(b"\x93NUMPY\x01\x00\x04\x00{'a("), "cannot be read as arrays"),
        (beside(b"\x93NUMPY\x01\x00\x02\x00((", compress_type=zipfile.ZIP_LZMA), "packed otherwise"),
        (locked(), "password"),
        (packed(GOOD | {"L": [0, 1]}), "the array 'L' is of kind int64 and shape (2,)"),
        (packed(GOOD | {"L": [["0", "1"]]}), "the array 'L' is of kind"),
        (packed(GOOD | {"L": [[0, 2]]}), "the array 'L' has 0 to 2, not -1 to 1"),
        (packed(GOOD | {"L": [[-2, 0]]}), "the array 'L' has -2 to 0"),
        (packed(GOOD | {"lf_names": ["a"]}), "the array 'lf_names' has 1 rows, and 2 were expected"),
        (packed(GOOD | {"lf_names": ["a", "a"]}), "'lf_names' has a name twice"),
        (packed(GOOD | {"rank": [[1, 2, 3]]}), "the array 'rank' has 3 columns"),
        (packed({name: value for name, value in GOOD.items() if name != "label_ids"}), "there is no array 'label_ids'"),
        (packed(GOOD | {"row_label": [5], "row_document": [0]}), "the array 'row_label' has 5 to 5"),
    ],
)
def test_a_matrix_that_is_none_is_refused(tmp_path, monkeypatch, content, words):
    """Nothing of it is run."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "votes.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"votes\.npz") as error:
        list(read_matrix(path)[1])
    assert words in str(error.value)
    assert not (tmp_path / "pwned").exists()


EXAMPLES = {"document_ids": ["d", "e"], "label_ids": ["x", "y"], "labels": [0, 1], "pred_probs": [[1, 0], [0.5, 0.5]]}
FLAT = {name: value for name, value in EXAMPLES.items() if name not in {"labels", "pred_probs"}}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (EXAMPLES | {"labels": [0, 2]}, "a given label is none of 0 to 1"),
        (EXAMPLES | {"labels": [0, -1]}, "a given label is none of 0 to 1"),
        (EXAMPLES | {"pred_probs": [[1, 0]]}, "'pred_probs' has 1 rows"),
        (EXAMPLES | {"pred_probs": [[1], [1]]}, "'pred_probs' has 1 columns"),
        (EXAMPLES | {"pred_probs": [[2.0, 0], [0, 1]]}, "not from 0 to 1"),
        (EXAMPLES | {"pred_probs": [[np.nan, 0], [0, 1]]}, "not from 0 to 1"),
        (FLAT | {"labels_indptr": [0, 2, 1], "labels_indices": [0]}, "'labels_indptr' does not rise"),
        (FLAT | {"labels_indptr": [0, 1, 9], "labels_indices": [0]}, "'labels_indptr' does not rise"),
        (FLAT, "there is no array 'labels_indptr'"),
    ],
)
def test_examples_that_do_not_fit_are_refused(tmp_path, arrays, words):
    """The array is named."""
    path = tmp_path / "examples.npz"
    path.write_bytes(packed(arrays))
    with pytest.raises(InputError) as error:
        list(read_examples(path))
    assert words in str(error.value)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path):
    """Without Parquet, with something else under its name, without ids, with labels that are numbers."""
    import duckdb

    def refused(path: Path) -> str:
        with pytest.raises(InputError) as error:
            list(read_folder(path))
        return str(error.value)

    assert "there is no Parquet file" in refused(tmp_path)
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "x.parquet"
    file.write_bytes(b"PAR1 and then nonsense")
    assert "cannot be read as Parquet" in refused(tmp_path)
    for query, words in (
        ("SELECT 1 AS number", "there is no column 'id'"),
        ("SELECT 'a' AS id, [1] AS labels", "the column 'labels' is INTEGER[]"),
        ("SELECT NULL::VARCHAR AS id", ":1: a row has no id"),
        ("SELECT 'a' AS id, [{x: 1}] AS predictions", "the column 'predictions' is STRUCT"),
        (
            "SELECT 'a' AS id, [{label: 5, rank: 1, score: 0.5, selected: true}] AS predictions",
            "the column 'predictions' is STRUCT",
        ),
        (
            "SELECT 'a' AS id, [{label: 'x', rank: 1, score: 'y', selected: true}] AS predictions",
            "the column 'predictions' is STRUCT",
        ),
        ("SELECT ['a'] AS id", "the column 'id' is VARCHAR[]"),
    ):
        file.unlink()
        duckdb.connect().execute(f"COPY ({query}) TO '{file}'")
        assert words in refused(tmp_path)


def test_predictions_of_somebody_else_are_read(tmp_path):
    """In numbers of other widths; what is not there, or no number, says nothing."""
    import duckdb

    path = tmp_path / "x.parquet"
    rows = "[NULL, {label: 'x', rank: 1::BIGINT, score: 'nan'::FLOAT, selected: true}]"
    query = f"SELECT 'a' AS id, {rows} AS predictions"
    duckdb.connect().execute(
        f"COPY ({query}) TO '{path}' (FORMAT parquet, KV_METADATA {{labelmill: '{json.dumps({'run': 'r', 'probabilities': True})}'}})"
    )
    (judged,) = read_folder(path)
    assert [(vote.label, vote.vote, vote.confidence, vote.rank) for vote in judged.opinions[0].votes] == [
        ("x", 1, 1.0, 1)
    ]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    """Its card says that it is not ours, or without a card its files do; an export that was stopped is ours."""
    import duckdb

    (tmp_path / CARD).write_text("# My holidays\n")
    with pytest.raises(InputError, match="card of something else"):
        prepare_folder(tmp_path)
    (tmp_path / CARD).unlink()
    prepare_folder(tmp_path)
    duckdb.connect().execute(f"COPY (SELECT 'a' AS id) TO '{tmp_path / DOCUMENTS}'")
    with pytest.raises(InputError, match="documents of something else"):
        prepare_folder(tmp_path)
    (tmp_path / DOCUMENTS).write_bytes(b"nothing")
    with pytest.raises(InputError, match="documents of something else"):
        prepare_folder(tmp_path)
    (tmp_path / DOCUMENTS).unlink()
    write_documents(tmp_path, [], labels_of(taxonomy_of(["a"])), Origin("r", probabilities=True))
    prepare_folder(tmp_path)
