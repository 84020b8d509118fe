"""From a run to a student to labels: end to end, with a toy embedder and a scripted model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from small_world import NAMES, TEXTS

from labelmill import Document, Labeler, Taxonomy
from labelmill.corpus import Corpus
from labelmill.errors import GoldError, InputError, StoreError
from labelmill.learning.promises import parse_promise
from labelmill.pipelines.distilling import distill
from labelmill.pipelines.distilling.fitting import fit_student
from labelmill.pipelines.distilling.lessons import read_lessons
from labelmill.pipelines.gold import GoldCorpus
from labelmill.pipelines.program_file import ProgramFile
from labelmill.pipelines.tuning import tune
from labelmill.pipelines.voting.combine import combine_votes
from labelmill.pipelines.voting.importing import import_labels
from labelmill.retrievers.students import StudentFolder
from labelmill.store import Store
from scripted import ScriptedModel, write_jsonl
from toy_embedder import HashedGrams

GOLD = [[0], [1], [2, 8], [3, 6], [4, 5], [10, 9], [11], [7]]
WORDS = ["today", "tomorrow", "soon", "late", "early", "perhaps", "often", "never"]


def sentences(count, seed=0):
    """Documents that say a part of what one or two of the eight texts say, with their labels."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        drawn = rng.choice(8, size=1 + number % 2, replace=False).tolist()
        kept = rng.uniform(0.05, 0.6)  # some say next to nothing
        words = [word for place in drawn for word in TEXTS[place].split() if rng.random() < kept]
        labels = [NAMES[label] for place in drawn for label in GOLD[place]]
        rows.append({"id": f"s{seed}-{number}", "text": " ".join([*words, *rng.choice(WORDS, 3)]), "labels": labels})
    return rows


@pytest.fixture
def school(tmp_path, names):
    """A run of votes over 160 documents, and the documents without gold."""
    rows = sentences(160)
    docs = write_jsonl(tmp_path / "gold.jsonl", rows)
    votes = tmp_path / "votes.duckdb"
    import_labels([docs], votes, names, voter="ann")
    combine_votes(votes, method="majority", run="soft")
    return votes, write_jsonl(tmp_path / "docs.jsonl", [{"id": r["id"], "text": r["text"]} for r in rows])


@pytest.fixture
def student(school, tmp_path):
    """A student of that run."""
    runs, docs = school
    distill(runs, [docs], tmp_path / "student", top_k=4)
    return tmp_path / "student"


@pytest.fixture
def fresh(tmp_path):
    """Documents that nobody has seen."""
    return write_jsonl(tmp_path / "fresh.jsonl", sentences(80, seed=1))


def rows_of(out, run):
    with Store(out) as store:
        return store.connection.execute(
            "SELECT document, label, rank, score, selected, evidence FROM predictions WHERE run = ? ORDER BY document, rank",
            [run],
        ).fetchall()


def f1(out, run, rows):
    given = {}
    for document, label, _, _, selected, _ in rows_of(out, run):
        given.setdefault(document, set()).update([label] if selected else [])
    scores = [2 * len(given[r["id"]] & {*r["labels"]}) / (len(given[r["id"]]) + len(r["labels"])) for r in rows]
    return float(np.mean(scores))


@pytest.mark.parametrize(
    ("features", "kind"), [("tfidf", "linear"), ("embedding", "linear"), ("both", "linear"), ("tfidf", "omikuji")]
)
def test_a_student_labels_what_its_teacher_would(features, kind, school, fresh, tmp_path, names):
    """Every kind, through the same call as any program; with the evidence that it was it."""
    if kind == "omikuji":
        pytest.importorskip("omikuji")
    runs, docs = school
    done = distill(runs, [docs], tmp_path / "student", features=features, kind=kind, embedder=HashedGrams(), top_k=4)
    assert done.documents == 160
    assert done.figures["agreement"] > 0.5
    with Labeler(
        names, program=tmp_path / "student", embedders=[HashedGrams()] if features != "tfidf" else None
    ) as labeler:
        labeler.label_corpus([fresh], tmp_path / "out.duckdb", run="r")
        assert labeler.notes == []
    assert f1(tmp_path / "out.duckdb", "r", sentences(80, seed=1)) > 0.5
    first = rows_of(tmp_path / "out.duckdb", "r")[0]
    assert [hit["lane"] for hit in first[5]] == ["student/text"]
    assert 0 < first[3] < 1


def test_a_stopped_run_goes_on_to_the_same_rows(student, fresh, tmp_path, names):
    """What a document gets depends on no other; the same documents twice are labelled once."""
    with Labeler(names, program=student) as labeler:
        labeler.label_corpus([fresh], tmp_path / "whole.duckdb", run="r")
        labeler.label_corpus([fresh], tmp_path / "parts.duckdb", run="r", limit=21)
        done = labeler.label_corpus([fresh], tmp_path / "parts.duckdb", run="r")
    assert (done.skipped, done.done) == (21, 59)
    assert rows_of(tmp_path / "whole.duckdb", "r") == rows_of(tmp_path / "parts.duckdb", "r")


def test_the_same_run_gives_the_same_student(school, student, tmp_path):
    """So that its key, and those of its runs, are the same."""
    runs, docs = school
    distill(runs, [docs], tmp_path / "again", top_k=4)
    one, other = (ProgramFile.read(path).spec for path in (student, tmp_path / "again"))
    assert one == other


def test_gold_says_what_is_right(school, tmp_path, fresh):
    """Documents that were learned from are judged by what is said of them without them; others are labelled."""
    runs, docs = school
    gold = GoldCorpus.read([tmp_path / "gold.jsonl", fresh])
    done = distill(runs, [docs], tmp_path / "student", gold=gold, top_k=4)
    assert done.figures["judged_by"] == "gold"
    assert done.figures["judged_documents"] == 240
    with pytest.raises(GoldError, match="3 documents with gold are too few"):
        distill(runs, [docs], tmp_path / "student", gold=GoldCorpus(gold.documents[:3]))


@pytest.mark.parametrize("kind", ["linear", "omikuji"])
def test_gold_is_known_by_its_text(kind, school, tmp_path):
    """Under another id it is judged by what is said without it, or by nothing; another text of that id is fresh."""
    if kind == "omikuji":
        pytest.importorskip("omikuji")
    runs, docs = school
    rows = sentences(160)
    renamed = [Document(f"n{n}", row["text"], tuple(row["labels"])) for n, row in enumerate(rows)]
    unlike = [Document(row["id"], f"Of {n}: {TEXTS[0]}", (NAMES[0],)) for n, row in enumerate(rows)]
    done = [
        distill(runs, [docs], tmp_path / "student", kind=kind, gold=GoldCorpus(tuple(gold)), top_k=4)
        for gold in (GoldCorpus.read([tmp_path / "gold.jsonl"]).documents, renamed, unlike)
    ]
    if kind == "linear":  # trees are not the same twice
        assert done[1].figures == done[0].figures
    assert done[1].figures["judged_documents"] == (160 if kind == "linear" else 32)
    assert done[2].figures["judged_documents"] == 160
    assert done[2].figures["decision"]["recall"] > 0.9


def test_gold_that_begins_like_a_lesson_is_left_out(school, tmp_path):
    """It may be a copy, of which the student would say what its teacher said."""
    runs, docs = school
    loud = [Document(f"n{n}", row["text"].upper(), tuple(row["labels"])) for n, row in enumerate(sentences(160))]
    fresh = [Document(f"o{n}", f"Of {n}: {TEXTS[0]}", (NAMES[0],)) for n in range(30)]
    done = distill(runs, [docs], tmp_path / "student", gold=GoldCorpus((*loud, *fresh)), top_k=4)
    assert done.figures["judged_documents"] == 30


def test_documents_whose_text_has_changed_are_left_out(tmp_path, names):
    """A run of a program says so by its documents' keys; what the corpus lacks is noted as well."""
    rows = sentences(40)
    docs = write_jsonl(tmp_path / "docs.jsonl", rows)
    with Labeler(names, embedders=[HashedGrams()]) as labeler:
        labeler.label_corpus([docs], tmp_path / "runs.duckdb", run="r")
    rows[0]["text"] += " And more."
    lessons = read_lessons(tmp_path / "runs.duckdb", "r", Corpus([write_jsonl(docs, rows[:-2])]))
    assert len(lessons) == 37
    assert lessons.notes[:2] == (
        "1 documents are left out, whose text has changed since they were labelled",
        "2 documents of the run are not in the corpus, and are left out",
    )
    assert "no probabilities" in lessons.notes[2]


@pytest.mark.parametrize("settings", [{}, {"lm": ScriptedModel(), "rank": "listwise", "cascade": "agreement>=0.85"}])
def test_a_student_among_others_makes_no_probabilities(student, fresh, names, tmp_path, settings):
    """Reciprocal ranks and a model's choices stay what they are: the final sets are learned."""
    with Labeler(names, embedders=[HashedGrams()], student=student, candidates=8, **settings) as labeler:
        labeler.label_corpus([fresh], tmp_path / "runs.duckdb", run="r")
    lessons = read_lessons(tmp_path / "runs.duckdb", "r", Corpus([fresh]))
    assert set(lessons.target.tolist()) == {0, 1}
    assert "no probabilities" in lessons.notes[0]


def test_a_promise_is_shown_by_gold_and_nothing_else(school, student, tmp_path):
    """What a teacher says is no gold, and is not called so."""
    runs, docs = school
    with pytest.raises(InputError, match="a promise needs gold"):
        distill(runs, [docs], tmp_path / "other", promise=parse_promise("precision>=0.5"))
    statement = ProgramFile.read(student).spec.decision.statement
    assert statement == "best micro F1 on 160 documents with its teacher's labels; nothing is promised"


def test_documents_without_a_common_word_want_vectors(tmp_path, names):
    """In a script without blanks no words are found."""
    rows = [{"id": f"d{n}", "text": chr(0x4E00 + n) * 3, "labels": [NAMES[n % 2]]} for n in range(24)]
    docs = write_jsonl(tmp_path / "docs.jsonl", rows)
    import_labels([docs], tmp_path / "votes.duckdb", names, voter="ann")
    combine_votes(tmp_path / "votes.duckdb", method="majority", run="soft")
    with pytest.raises(InputError, match=r"no two of the documents have a word in common\..*--features embedding"):
        distill(tmp_path / "votes.duckdb", [docs], tmp_path / "student")
    done = distill(tmp_path / "votes.duckdb", [docs], tmp_path / "student", features="both", embedder=HashedGrams())
    assert done.figures["width"] > 0


def test_trees_want_labels_that_are_likely_at_all(school):
    """Where none is drawn in four times, there is nothing to learn."""
    pytest.importorskip("omikuji")
    runs, docs = school
    lessons = read_lessons(runs, "soft", Corpus([docs]))
    faint = replace(lessons, target=np.full_like(lessons.target, 1e-9))
    with pytest.raises(InputError, match="no document that trees could learn from"):
        fit_student(faint, "tfidf", HashedGrams(), "omikuji")


def test_what_nothing_can_be_learned_from_is_refused(school, tmp_path):
    """Another corpus, a run that is not there, a folder that is something else."""
    runs, docs = school
    other = write_jsonl(tmp_path / "other.jsonl", sentences(30, seed=5))
    with pytest.raises(InputError, match="0 of the 160 documents of run 'soft' are in the corpus"):
        distill(runs, [other], tmp_path / "student")
    with pytest.raises(StoreError, match="no run 'x'"):
        distill(runs, [docs], tmp_path / "student", run="x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="something else than a student"):
        distill(runs, [docs], tmp_path / "taken")


def test_a_student_is_a_lane_beside_others(student, names):
    """Its hits are evidence as any lane's, and the program's key is another."""
    with Labeler(names, embedders=[HashedGrams()], student=student) as labeler:
        (found,) = labeler.label([TEXTS[0]], ranked=True)
        with_student = labeler.program.key
    assert "student/text" in {hit.lane for hit in found[0].evidence}
    with Labeler(names, embedders=[HashedGrams()]) as labeler:
        assert labeler.program.key != with_student


@pytest.fixture
def cascade(student, names):
    """Make a labeler that asks a scripted model where the student is not certain."""

    def make(model, **settings):
        usual = {"cascade": "agreement>=0.85", "embedders": [HashedGrams()], "candidates": 8, "rank": "listwise"}
        return Labeler(names, lm=model, student=student, **usual | settings)

    return make


def test_the_student_answers_where_it_is_certain(cascade, fresh, tmp_path):
    """The model is asked about the rest alone; who answered is in the file, and the dry run knew it."""
    model = ScriptedModel()
    with cascade(model) as labeler:
        preview = labeler.preview_corpus(Corpus([fresh]), tmp_path / "out.duckdb", run="r")
        done = labeler.label_corpus([fresh], tmp_path / "out.duckdb", run="r")
        promised = labeler.program.spec.cascade
    assert 0 < done.by_student < 80
    assert preview.by_student == done.by_student
    assert preview.documents == 80
    assert done.calls == 2 * (80 - done.by_student)
    assert abs(promised.expected - (1 - done.by_student / 80)) < 0.25
    with Store(tmp_path / "out.duckdb") as store:
        marked = store.connection.execute("SELECT count(*) FROM documents WHERE stages = ['student']").fetchall()
    assert marked == [(done.by_student,)]
    assert len({request.text for request in model.requests}) == 80 - done.by_student


def test_a_stopped_cascade_goes_on_to_the_same_rows(cascade, fresh, tmp_path):
    """Whoever answers."""
    with cascade(ScriptedModel()) as labeler:
        labeler.label_corpus([fresh], tmp_path / "whole.duckdb", run="r")
    for limit in (33, None):
        with cascade(ScriptedModel()) as labeler:
            labeler.label_corpus([fresh], tmp_path / "parts.duckdb", run="r", limit=limit)
    assert rows_of(tmp_path / "whole.duckdb", "r") == rows_of(tmp_path / "parts.duckdb", "r")


def test_a_laxer_promise_asks_less(cascade, fresh, tmp_path):
    """And is another program."""
    counts, keys = [], []
    for promise in ("agreement>=0.85", "agreement>=0.7"):
        with cascade(ScriptedModel(), cascade=promise) as labeler:
            counts.append(labeler.label_corpus([fresh], tmp_path / "out.duckdb", run=promise).by_student)
            keys.append(labeler.program.key)
    assert counts[0] <= counts[1]
    assert keys[0] != keys[1]


def test_gold_shows_precision(cascade, fresh, tmp_path):
    """Which a student that was not judged by gold cannot promise."""
    with pytest.raises(InputError, match="was not judged by gold"):
        cascade(ScriptedModel(), cascade="precision>=0.8")
    others = write_jsonl(tmp_path / "others.jsonl", sentences(150, seed=2))
    gold = GoldCorpus.read([others, tmp_path / "gold.jsonl"])  # it learned from the latter, which do not count
    with cascade(ScriptedModel(), cascade="precision>=0.8", gold=gold) as labeler:
        assert labeler.program.spec.cascade.kind == "precision"
        assert "150 documents with gold labels" in labeler.program.spec.cascade.statement
    with pytest.raises(InputError, match="learned from all of the 160 gold documents"):
        cascade(ScriptedModel(), cascade="precision>=0.8", gold=GoldCorpus.read([tmp_path / "gold.jsonl"]))
    with pytest.raises(InputError, match="not shown by gold"):
        cascade(ScriptedModel(), gold=GoldCorpus.read([fresh]))


def test_gold_labels_that_the_taxonomy_lacks_make_nothing_right(student):
    """Nor do they stand for labels at the end of it."""
    taxonomy = Taxonomy.from_names(
        [*(name for place, name in enumerate(NAMES) if place not in {7, 11}), *NAMES[7:12:4]]
    )
    documents = [Document(f"x{n}", f"{n} {TEXTS[7]}", ("no such label",)) for n in range(150)]
    gold = GoldCorpus((*documents, Document("y", f"Now {TEXTS[0]}", (NAMES[0],))))
    with pytest.raises(InputError, match="cannot be promised"):
        Labeler(taxonomy, embedders=[HashedGrams()], student=student, cascade="precision>=0.8", gold=gold)


def test_a_cascade_needs_a_student_and_a_program(student, names):
    """A student alone has nobody to hand on to."""
    for settings in ({"program": student}, {"embedders": [HashedGrams()]}):
        with pytest.raises(InputError, match="a cascade needs a student and another program"):
            Labeler(names, cascade="agreement>=0.9", **settings)


def test_students_and_programs_are_not_mixed_up(student, names, tmp_path, school):
    """A program that has a student is given that one, and none where it has none."""
    runs, docs = school
    distill(runs, [docs], tmp_path / "other", features="both", embedder=HashedGrams())
    with pytest.raises(InputError, match="was made with that of the key"):
        Labeler(names, program=student, student=tmp_path / "other")
    alone = tmp_path / "alone.json"
    shutil.copy(student / "program.json", alone)
    with pytest.raises(InputError, match="Give its folder with --student"):
        Labeler(names, program=ProgramFile.read(alone))


def test_tuning_weighs_what_a_student_says(student, names, tmp_path):
    """As any lane's, in columns of its own; of gold that it has not seen."""
    gold = [Document(row["id"], row["text"], tuple(row["labels"])) for row in sentences(40, seed=3)]
    taught = StudentFolder.read(student)
    program = tune(
        names, gold, embedders=[HashedGrams()], student=taught, candidates=8, pool=12, top_k=3, keep_all=True
    )
    assert program.spec.student == taught.key
    assert any(column.startswith("student/text.") for column in program.spec.fusion.columns)
    with Labeler(names, program=program, embedders=[HashedGrams()], student=student) as labeler:
        assert labeler.label([TEXTS[1]])[0]
    with pytest.raises(InputError, match="Give its folder with --student"):
        Labeler(names, program=program, embedders=[HashedGrams()])
    own = [Document(row["id"], row["text"], tuple(row["labels"])) for row in sentences(160)]
    with pytest.raises(InputError, match="160 of 200 gold documents are among those"):
        tune(names, [*gold, *own], embedders=[HashedGrams()], student=taught)


def test_a_student_whose_embedder_is_elsewhere_is_refused(school, tmp_path, names):
    """A file alone never has texts sent anywhere."""
    runs, docs = school
    distill(runs, [docs], tmp_path / "student", features="embedding", embedder=HashedGrams())
    header = json.loads((tmp_path / "student" / "student.json").read_text("utf-8"))
    header["embedder"] = "bge@http://elsewhere.example:8000/v1"
    (tmp_path / "student" / "student.json").write_text(json.dumps(header), "utf-8")
    with pytest.raises(InputError, match="sends every text to another machine"):
        Labeler(names, student=tmp_path / "student", embedders=[HashedGrams()])


def test_a_taxonomy_with_other_labels_is_noted(student, tmp_path):
    """Labels that are gone are not given; new ones are not known."""
    with Labeler(Taxonomy.from_names([*NAMES[3:], "ride horses"]), program=student) as labeler:
        assert "another version of the taxonomy" in labeler.notes[0]
        found = labeler.label([Document("x", TEXTS[0]).text], ranked=True)[0]
    assert {each.name for each in found} <= set(NAMES[3:])


def test_a_run_without_final_sets_teaches_only_with_gold(school, tmp_path, names):
    """Probabilities can be learned, and nothing but gold says which of them are right."""
    votes, docs = school
    combine_votes(votes, method="dawid-skene", run="uncut")
    with Store(votes, write=True) as store:
        store.connection.execute("UPDATE predictions SET selected = false WHERE run = 'uncut'")
    settings = {"run": "uncut"}
    with pytest.raises(InputError, match=r"run 'uncut' has no label in a final set.*give documents with gold"):
        distill(votes, [docs], tmp_path / "s", **settings)
    gold = GoldCorpus.read([write_jsonl(tmp_path / "fresh.jsonl", sentences(60, seed=5))])
    assert distill(votes, [docs], tmp_path / "s", gold=gold, **settings).figures["judged_by"] == "gold"
    taught = ProgramFile.read(tmp_path / "s").spec.learned_from
    assert len(taught) == len({each.text for each in gold.documents})
