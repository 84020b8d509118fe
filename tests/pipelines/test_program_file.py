"""A program's file: what is wrong with it is said in one line, and so is what is other than when it was tuned."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workshop import TASKS, diary, workshop

from labelmill import Labeler, Taxonomy
from labelmill.errors import InputError
from labelmill.learning.fusion import LearnedFusion, Linear
from labelmill.learning.promises import Decision
from labelmill.pipelines.assemble import assemble
from labelmill.pipelines.program_file import ProgramFile, TaxonomyVersion
from labelmill.pipelines.spec import LabelledText, make_spec, remake
from loopback import LoopbackServer
from toy_embedder import HashedGrams, HashedWords

LANES = {"names/text": 1.0, "bm25/text": 1.0, "neighbours/text": 1.0}


def made(**changed):
    """A program that was made by hand: every column weighs a little."""
    examples = tuple(LabelledText(text=each.text, labels=(workshop().labels[0].id,)) for each in diary(3))
    spec = make_spec(embedders=("toy",), lanes=LANES, examples=examples, candidates=10, pool=12)
    columns = assemble(spec, workshop(), embedders=[HashedGrams()], learning=True).retrieve.reordering.evidence.columns
    numbers = [0.1 / 3] * len(columns)
    linear = Linear(intercept=-1.0, weights=numbers, means=numbers, scales=[1.0] * len(columns))
    fusion = LearnedFusion(columns=columns, linear=linear)
    spec = remake(spec, fusion=fusion, decision=Decision(threshold=0.3, top_k=3, promise="recall>=0.8"), **changed)
    labels = TaxonomyVersion(key=workshop().key, labels=len(TASKS), source="tasks.csv")
    return ProgramFile(spec=spec, taxonomy=labels, embedders=("toy-1",), figures={"a": 1 / 3, "b": [{"c": None}, {}]})


@pytest.fixture
def path(tmp_path):
    """The program, in a file."""
    made().write(tmp_path / "program.json")
    return tmp_path / "program.json"


def edit(path, change):
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def refused(path):
    with pytest.raises(InputError) as caught:
        ProgramFile.read(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line


def opened(program, taxonomy=None, embedder=None, **settings):
    return Labeler(taxonomy or workshop(), program=program, embedders=[embedder or HashedGrams()], **settings)


def test_what_is_written_is_read(path):
    """Equal in every field but those that are None, and by the same labels."""
    program = ProgramFile.read(path)
    assert program.spec == made().spec
    assert (program.taxonomy, program.embedders) == (made().taxonomy, made().embedders)
    assert program.figures["a"] == 1 / 3
    texts = [entry.text for entry in diary(4)]
    assert opened(path).label(texts, ranked=True) == opened(made()).label(texts, ranked=True)


def test_it_can_be_read_by_people(path):
    """Lists of numbers are on one line each, and the file ends with a line's end."""
    lines = path.read_text("utf-8").splitlines()
    assert any(line.strip().startswith('"weights": [0.0333') for line in lines)
    assert max(len(line) - len(line.lstrip()) for line in lines) < 12
    assert path.read_text("utf-8").endswith("}\n")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_measured_is_laid_out_as_json(tmp_path, value):
    """Nested as deep as it is, with every character."""
    plain = ProgramFile(
        spec=make_spec(), taxonomy=TaxonomyVersion(key="k", labels=1), embedders=("e",), figures={"v": value}
    )
    plain.write(tmp_path / "p.json")
    assert ProgramFile.read(tmp_path / "p.json").figures == plain.figures


def test_a_file_that_is_not_there(tmp_path):
    """With how to make one."""
    line = refused(tmp_path / "none.json")
    assert "cannot be read: No such file" in line
    assert "labelmill tune" in line


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"not json", b"\xff\xfe\x00", b"[" * 200_000, b'{"labelmill_program": 1, "spec": NaN', b"\x00"],
    ids=["empty", "cut", "words", "bytes", "deep", "cut later", "nul"],
)
def test_a_file_that_is_no_json(tmp_path, content):
    """Whatever its bytes."""
    path = tmp_path / "p.json"
    path.write_bytes(content)
    assert "this is no JSON" in refused(path)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"', "{}", '{"spec": {}}'])
def test_json_that_is_no_program(tmp_path, content):
    """A taxonomy, say, or a compiled prompt."""
    path = tmp_path / "p.json"
    path.write_text(content)
    assert "this is no program; version 1 is understood" in refused(path)


@pytest.mark.parametrize("version", [0, 2, "1", 1.5, [1], {"a": 1}])
def test_another_version(path, version):
    """Is not guessed at."""
    edit(path, lambda content: content.update(labelmill_program=version))
    assert f"this is a program of version {version!r}; version 1 is understood" in refused(path)


EDITS = {
    "no spec": (lambda c: c.pop("spec"), "spec: Field required"),
    "an unknown field": (lambda c: c["spec"].update(colour="red"), "spec.colour: Extra inputs"),
    "a rank without a model": (lambda c: c["spec"].update(rank="listwise"), "needs a language model"),
    "a weight less": (lambda c: c["spec"]["fusion"]["linear"]["weights"].pop(), "weights"),
    "a weight of text": (lambda c: c["spec"]["fusion"]["linear"]["weights"].__setitem__(0, "much"), "weights.0"),
    "a column less": (lambda c: c["spec"]["fusion"]["columns"].pop(), "columns and"),
    "no fusion": (lambda c: c["spec"].pop("fusion"), "decision without a learned fusion"),
    "a small pool": (lambda c: c["spec"].update(pool=5), "more than the pool=5"),
    "a promise of nothing": (lambda c: c["spec"]["decision"].update(promise="fame"), "'fame' is no promise"),
    "a threshold of text": (lambda c: c["spec"]["decision"].update(threshold="high"), "spec.decision.threshold"),
    "a lane that weighs nothing": (lambda c: c["spec"]["lanes"].update({"bm25/text": 0}), "spec.lanes.bm25/text"),
    "no embedder": (lambda c: c["spec"].update(embedders=[]), "spec: embedders"),
    "no taxonomy": (lambda c: c.update(taxonomy="tasks.csv"), "taxonomy"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_that_breaks_it_is_named(path, name):
    """By its place, with what is wrong and what to do."""
    change, message = EDITS[name]
    edit(path, change)
    line = refused(path)
    assert message in line
    assert "Mend that place, or tune anew." in line


def test_lanes_that_the_fusion_does_not_know_are_refused(path):
    """Weights of evidence that is not there would be labels by chance."""
    edit(path, lambda content: content["spec"]["lanes"].update({"names/windows": 1.0}))
    with pytest.raises(InputError, match=r"learned from other evidence than this program has: names\.toy/windows"):
        opened(path)
    edit(path, lambda content: content["spec"].update(lanes={"names/voice": 1.0}))
    with pytest.raises(InputError, match="no lane 'names/voice'"):
        opened(path)


def test_columns_in_another_order_are_refused(path):
    """Each weight belongs to its column."""
    edit(path, lambda content: content["spec"]["fusion"]["columns"].reverse())
    with pytest.raises(InputError, match="other evidence than this program has: their order"):
        opened(path)


def test_an_embedder_of_another_name_is_refused(path):
    """What was learned of one says nothing of another."""
    other = HashedGrams("other-1")
    other.name = "other"
    with pytest.raises(InputError, match=r"other evidence than this program has: .*other"):
        opened(path, embedder=other)


def test_nothing_is_noted_where_nothing_differs(path):
    """The same labels and the same embedder."""
    assert opened(path).notes == []


def test_another_taxonomy_is_noted(path):
    """What still holds, what does not, and the labels that are gone; the program labels all the same."""
    fewer = Taxonomy.from_names(TASKS[1:])
    labeler = opened(path, fewer)
    (note,) = labeler.notes
    assert "another version of the taxonomy (40 labels, now 39)" in note
    assert "promised (recall>=0.8) is not shown" in note
    assert ("1 labels of its examples are gone" in note) == (
        workshop().labels[0].id not in {x.id for x in fewer.labels}
    )
    assert labeler.label([diary(1)[0].text], ranked=True)[0]


def test_another_embedder_of_the_name_is_noted(path):
    """Its scores may be others."""
    (note,) = opened(path, embedder=HashedGrams("toy-2")).notes
    assert "tuned with other embedders" in note


def test_another_model_is_noted():
    """Where the program asks one."""
    program = made(infer="both", model="small")
    assembled = assemble(program.spec, workshop(), embedders=[HashedGrams()])
    assert program.differences(assembled, "small") == []
    (note,) = program.differences(assembled, "large")
    assert "tuned with the model 'small', now 'large'" in note


def test_a_program_that_asks_a_model_needs_one():
    """And says which it was tuned with."""
    with pytest.raises(InputError, match=r"asks a language model, 'small' when it was tuned\. Give one with --lm"):
        opened(made(infer="both", model="small"))


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    """No half of a file, and one line that says why."""
    with pytest.raises(InputError, match="the program cannot be written: No such file"):
        made().write(tmp_path / "none" / "program.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="the program cannot be written"):
        made().write(tmp_path / "folder")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder"]


def test_words_of_every_script_survive(tmp_path):
    """In a file that people can read: no escapes."""
    text, label = 'Räder, часы и 日本 \u2028 "quoted"', workshop().labels[0].id
    spec = remake(made().spec, examples=(LabelledText(text=text, labels=(label,)),))
    made().model_copy(update={"spec": spec}).write(tmp_path / "p.json")
    assert ProgramFile.read(tmp_path / "p.json").spec.examples[0].text == text
    assert "часы и 日本" in (tmp_path / "p.json").read_text("utf-8")


def test_with_vectors_of_tokens_it_is_the_same_program(path):
    """An embedder's further abilities change nothing that was learned without them."""
    texts = [diary(1)[0].text]
    assert opened(path, embedder=HashedWords()).label(texts, ranked=True) == opened(path).label(texts, ranked=True)


class Embeddings(LoopbackServer):
    """Serves the toy embedder."""

    async def answer(self, request):
        """Give a vector for each text."""
        vectors = HashedGrams().embed((await request.json())["input"]).tolist()
        answer = web.json_response({"data": [{"index": n, "embedding": each} for n, each in enumerate(vectors)]})
        answer.force_close()  # no connection outlives the test
        return answer


@pytest.mark.parametrize("from_file", [True, False])
def test_a_program_alone_sends_no_text_to_another_machine(path, from_file):
    """Whoever runs it must name the address as well; nothing is sent before."""
    edit(path, lambda content: content["spec"].update(embedders=["toy@http://far.example:8000/v1"]))
    program = path if from_file else ProgramFile.read(path)
    with pytest.raises(
        InputError, match="sends every text to another machine, for its embedder 'toy@http://far"
    ) as caught:
        Labeler(workshop(), program=program)
    assert "\n" not in str(caught.value)
    assert "--embedder 'toy@http://far.example:8000/v1'" in str(caught.value)
    assert opened(program).label([diary(1)[0].text])


def test_a_program_may_name_a_server_of_this_machine(path):
    """What runs here is the user's own, as is an address that is given beside the program."""
    with Embeddings() as server:
        edit(path, lambda content: content["spec"].update(embedders=[f"toy@{server.url}"]))
        assert Labeler(workshop(), program=path).label([diary(1)[0].text])
        edit(path, lambda content: content["spec"].update(embedders=["toy@http://far.example:8000/v1"]))
        assert Labeler(workshop(), program=path, embedders=[f"toy@{server.url}"]).label([diary(1)[0].text])


def test_an_address_that_hides_another_is_not_repeated(path):
    """There may be a password in it."""
    edit(path, lambda content: content["spec"].update(embedders=["toy@http://127.0.0.1:secret@far.example/v1"]))
    with pytest.raises(InputError, match="a user name, a password") as caught:
        Labeler(workshop(), program=path)
    assert "secret" not in str(caught.value)
