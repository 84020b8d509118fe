"""Students as folders and as retrievers; folders that somebody tampered with."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from labelmill import Taxonomy
from labelmill.errors import InputError
from labelmill.retrievers.students import StudentFolder, write_student
from labelmill.retrievers.students.features import Features, TfIdf
from labelmill.retrievers.students.linear import LinearModel
from labelmill.retrievers.students.trees import NamedTrees, TreeModel
from toy_embedder import HashedGrams

TEXTS = [
    ("Bake the bread until the crust is dark.",),
    ("The boat sails at noon.", "It sails back at six."),
    ("Bread and beer, bread and cheese.",),
    ("Sail the boat, bake the bread.",),
]
LABELS = ("bread", "boats", "gone")


def make(tmp_path, *, tfidf=True, embedder=None, trees=False, named=False):
    """Write a student of three labels, which are what its weights say."""
    tmp_path.mkdir(exist_ok=True)
    features = Features(TfIdf.learn(TEXTS) if tfidf else None, embedder)
    rows = features.rows(TEXTS)
    if trees:
        model = TreeModel.train(sparse.vstack([rows] * 10).tocsr(), [np.array([n % 2]) for n in range(40)], 3)
        if named:
            called = features.rows([("bread",), ("boat",), ("cheese",)])
            model = NamedTrees(model, LinearModel((0.5 * called.T).tocsr(), np.zeros(3, np.float32)))
    else:
        weights = np.random.default_rng(0).normal(size=(rows.shape[1], 3)).astype(np.float32)
        model = LinearModel(sparse.csr_array(weights), np.array([0.1, 0.2, 0.3], np.float32))
    width = 64 if embedder else 0
    key = write_student(
        tmp_path / "student",
        labels=LABELS,
        features=features,
        model=model,
        held={
            f"teacher.{name}": np.ones(3) for name in ("precision", "recall", "agreement", "given", "right", "wanted")
        },
        seen=np.arange(4, dtype=np.uint64),
        width=width,
        embedder="toy" if embedder else "",
        beside=lambda folder, key: (folder / "program.json").write_text(json.dumps(key), "utf-8"),
    )
    return tmp_path / "student", key


@pytest.fixture
def taxonomy():
    """Two of the labels, elsewhere than in the student."""
    return Taxonomy.from_names(["violins", "boats", "bread"])


@pytest.mark.parametrize("kind", ["words", "vectors", "both", "trees", "named trees"])
def test_a_student_says_the_same_once_it_is_written_and_read(kind, tmp_path, taxonomy):
    """Of the labels that the taxonomy has, best first; with a key that says what it is."""
    trees = kind.endswith("trees")
    if trees:
        pytest.importorskip("omikuji")
    embedder = HashedGrams() if kind in {"vectors", "both"} else None
    path, key = make(tmp_path, tfidf=kind != "vectors", embedder=embedder, trees=trees, named=kind.startswith("named"))
    folder = StudentFolder.read(path)
    assert folder.key == key
    hits = folder.open(taxonomy, embedder).retrieve(TEXTS, 5)
    again = StudentFolder.read(path).open(taxonomy, embedder).retrieve(TEXTS, 5)
    for one, other in zip(hits, again, strict=True):
        assert set(one.labels.tolist()) <= {1, 2}
        assert len(one.labels)
        assert (np.diff(one.scores) <= 0).all()
        assert ((one.scores >= 0) & (one.scores <= 1)).all()
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("kind", ["words", "both", "trees", "named trees"])
def test_a_document_gets_the_same_alone_and_among_others(kind, tmp_path, taxonomy):
    """To the last bit: a run that is taken up again has other batches."""
    if kind.endswith("trees"):
        pytest.importorskip("omikuji")
    embedder = HashedGrams() if kind == "both" else None
    path, _ = make(tmp_path, embedder=embedder, trees=kind.endswith("trees"), named=kind.startswith("named"))
    student = StudentFolder.read(path).open(taxonomy, embedder)
    together = student.retrieve(TEXTS, 2)
    for text, hits in zip(TEXTS, together, strict=True):
        (alone,) = student.retrieve([text], 2)
        np.testing.assert_array_equal(alone.labels, hits.labels)
        np.testing.assert_array_equal(alone.scores, hits.scores)


def test_trees_and_names_are_added(tmp_path):
    """A label that no tree knows is found by its name; what trees say counts as before beside it."""
    pytest.importorskip("omikuji")
    text = [("Sail the boat for cheese.",)]
    found = {}
    for named in (False, True):
        path, _ = make(tmp_path / str(named), trees=True, named=named)
        (hits,) = StudentFolder.read(path).open(Taxonomy.from_names(LABELS), None).retrieve(text, 3)
        found[named] = dict(zip(hits.labels.tolist(), hits.scores.tolist(), strict=True))
    assert 2 not in found[False]
    rows = Features(TfIdf.learn(TEXTS), None).rows([*text, ("boat",)]).toarray()
    alike = rows[0] @ rows[1]
    assert found[True][1] == pytest.approx((found[False][1] + 0.5 * alike) / 1.5, abs=1e-5)


def test_omikuji_says_nothing_on_the_outputs(tmp_path, taxonomy, capfd):
    """Where results are printed, for programs too; and a document without known words stops no training."""
    pytest.importorskip("omikuji")
    path, _ = make(tmp_path, trees=True)
    StudentFolder.read(path).open(taxonomy, None)
    rows = TfIdf.learn(TEXTS).rows([*TEXTS, ("?!",)])
    TreeModel.train(rows, [np.array([0]), np.array([1]), np.array([0]), np.array([1]), np.array([0])], 2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("documents", [0, 2])
def test_trees_of_nothing_are_refused(documents):
    """Omikuji would end the process without a word."""
    pytest.importorskip("omikuji")
    rows = sparse.csr_array((documents, 3), dtype=np.float32)
    with pytest.raises(InputError, match="no document that trees could learn from"):
        TreeModel.train(rows, [np.array([0])] * documents, 2)


def test_no_word_of_a_document_is_in_the_folder(tmp_path):
    """Words are hashed."""
    path, _ = make(tmp_path)
    for file in path.rglob("*"):
        assert b"crust" not in file.read_bytes()


def test_a_text_without_known_words_has_what_labels_get_anyway(tmp_path, taxonomy):
    """And no text at all is no error."""
    path, _ = make(tmp_path)
    student = StudentFolder.read(path).open(taxonomy, None)
    (hits,) = student.retrieve([("?!",)], 3)
    assert hits.labels.tolist() == [1, 2]
    assert student.retrieve([], 3) == []
    assert len(student.retrieve([()], 3)[0].labels) == 2


def test_documents_without_a_common_word_have_rows_without_words():
    """Beside vectors these are all there is."""
    texts = [("?!",), ("one",)]
    assert Features(TfIdf.learn(texts), None).rows(texts).shape == (2, 0)
    assert Features(TfIdf.learn(texts), HashedGrams()).rows(texts).shape == (2, 64)


def test_a_student_replaces_a_student_and_nothing_else(tmp_path):
    """What else is there stays."""
    path, key = make(tmp_path)
    assert make(tmp_path)[1] == key
    (path / "student.json").unlink()
    with pytest.raises(InputError, match="something else than a student"):
        make(tmp_path)
    assert (path / "arrays.npz").exists()


def test_a_student_stays_whole_where_it_cannot_be_replaced(tmp_path, monkeypatch):
    """Or where somebody loses patience just then; nothing else is left behind."""
    path, _ = make(tmp_path)
    before = {each.name: each.read_bytes() for each in path.iterdir()}
    replace = Path.replace

    def stop(source, target):
        if Path(target) == path and not source.name.endswith(".old"):
            raise KeyboardInterrupt
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path)
    assert {each.name: each.read_bytes() for each in path.iterdir()} == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_student_stays_one(tmp_path):
    """What it leads to is replaced."""
    (tmp_path / "disk").mkdir()
    path, _ = make(tmp_path / "disk")
    (tmp_path / "student").symlink_to(path)
    made, _ = make(tmp_path)
    assert made.is_symlink()
    StudentFolder.read(made)
    assert [each.name for each in (tmp_path / "disk").iterdir()] == ["student"]


def test_a_student_that_knows_no_label_is_refused(tmp_path):
    """Rather than to label nothing."""
    path, _ = make(tmp_path)
    with pytest.raises(InputError, match="no label of this taxonomy"):
        StudentFolder.read(path).open(Taxonomy.from_names(["violins"]), None)


def rewrite(path, name="arrays.npz", **arrays):
    """Change arrays of a student, and its header so that the hashes are right: what somebody with bad intent does."""
    with np.load(path / name) as loaded:
        own = dict(loaded)
    np.savez(path / name, **own | arrays)
    rehash(path, name)


def rehash(path, *names, **fields):
    header = json.loads((path / "student.json").read_text("utf-8")) | fields
    for name in names:
        header["files"][name] = hashlib.sha256((path / name).read_bytes()).hexdigest()
    (path / "student.json").write_text(json.dumps(header), "utf-8")


def member(path, name, content):
    """Put something else in an array's place."""
    arrays = load(path)
    arrays.pop(name.removesuffix(".npy"))
    np.savez(path / "arrays.npz", **arrays)
    with zipfile.ZipFile(path / "arrays.npz", "a") as archive:
        archive.writestr(name, content)
    rehash(path, "arrays.npz")


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def lock(file):
    """Mark all of an archive as encrypted."""
    content = bytearray(file.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 1)
    file.write_bytes(content)
    rehash(file.parent, file.name)


class Bomb:
    """Would leave a file behind where it was unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


ATTACKS = {
    "labels that are not there": lambda path: rewrite(
        path, indices=np.full(len(load(path)["indices"]), 2**30, np.int32)
    ),
    "negative labels": lambda path: rewrite(path, indices=np.full(len(load(path)["indices"]), -1, np.int32)),
    "rows out of bounds": lambda path: rewrite(path, indptr=load(path)["indptr"] * 1000),
    "rows that go back": lambda path: rewrite(
        path, indptr=load(path)["indptr"][[0, *range(2, 0, -1), *range(3, len(load(path)["indptr"]))]]
    ),
    "slots beyond the hash": lambda path: rewrite(path, slots=load(path)["slots"] + 2**20),
    "another type": lambda path: rewrite(path, data=load(path)["data"].astype(np.float64)),
    "no numbers": lambda path: rewrite(path, data=load(path)["data"] * np.float32("nan")),
    "fewer labels": lambda path: rewrite(path, base=load(path)["base"][:2]),
    "a pickle": lambda path: rewrite(path, data=np.array([Bomb(path / "bomb")], dtype=object)),
    "a text for an array": lambda path: member(path, "seen.npy", b"nothing"),
    "a header without an end": lambda path: member(path, "seen.npy", header("{'shape': (1,")),
    "an array beyond memory": lambda path: member(
        path, "seen.npy", header(f"{{'descr': '<u8', 'fortran_order': False, 'shape': ({1 << 47},)}}")
    ),
    "a password": lambda path: lock(path / "arrays.npz"),
    "fewer columns": lambda path: (np.savez(path / "held.npz", **{"gold.given": np.ones(3)}), rehash(path, "held.npz")),
    "columns unlike": lambda path: rewrite(path, "held.npz", **{"teacher.right": np.ones(4)}),
    "columns without numbers": lambda path: rewrite(path, "held.npz", **{"teacher.right": np.full(3, np.nan)}),
    "a packed archive": lambda path: (
        np.savez_compressed(path / "arrays.npz", **load(path)),
        rehash(path, "arrays.npz"),
    ),
    "no archive": lambda path: ((path / "arrays.npz").write_bytes(b"nonsense"), rehash(path, "arrays.npz")),
    "a changed file": lambda path: (path / "held.npz").write_bytes(b"nonsense"),
    "a file elsewhere": lambda path: rehash(path, files={"arrays.npz": "", "held.npz": "", "../../secret": ""}),
    "a missing file": lambda path: (path / "held.npz").unlink(),
    "a later version": lambda path: rehash(path, labelmill_student=2),
    "an unknown field": lambda path: rehash(path, more=1),
    "labels twice": lambda path: rehash(path, labels=["bread", "bread", "boats"]),
    "later features": lambda path: rehash(path, features_version=99),
    "no JSON": lambda path: (path / "student.json").write_text("{", "utf-8"),
    "no student": lambda path: (path / "student.json").unlink(),
    "no object": lambda path: (path / "student.json").write_text("[1]", "utf-8"),
    "a deep header": lambda path: (path / "student.json").write_text("[" * 200_000, "utf-8"),
}


def load(path):
    with np.load(path / "arrays.npz") as loaded:
        return dict(loaded)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_folder_that_was_tampered_with_is_one_clear_line(attack, tmp_path, taxonomy):
    """With the file and what to do; nothing is run, and nothing read beyond its bounds."""
    path, _ = make(tmp_path)
    ATTACKS[attack](path)
    with pytest.raises(InputError) as caught:
        StudentFolder.read(path).open(taxonomy, None)
    assert str(tmp_path) in str(caught.value)
    assert "labelmill distill" in str(caught.value)
    assert not (path / "bomb").exists()


def test_arrays_are_written_as_numpy_reads_them(tmp_path):
    """Unpacked, without pickle."""
    path, _ = make(tmp_path)
    with zipfile.ZipFile(io.BytesIO((path / "arrays.npz").read_bytes())) as archive:
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
    assert load(path)["slots"].dtype == np.int32
