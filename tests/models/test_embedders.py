"""What every embedder promises, on each of them; and how they are named."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest

from labelmill.errors import InputError, MissingExtraError
from labelmill.models.embedders import load_embedder

LOCAL = {"minilm": 384, "minilm-float32": 384, "use": 512, "wordllama": 256}
TEXTS = [
    "repair bicycles",
    "mend bikes",
    "bake rye bread",
    "The warden counts the visitors of the lighthouse twice a day and writes the number into a book.",
    "Käse schneiden",
    "漢字を書く",
    "x",
    "the ferry leaves, " * 300,
    "half a pair: \ud83d",
    "a\x00b\n\tc",
    "mend bikes",
]


@pytest.fixture(scope="module", params=sorted(LOCAL))
def embedder(request):
    return load_embedder(request.param)


@pytest.mark.models
class TestEveryLocalEmbedder:
    """Each runs on the machine itself, without any server."""

    def test_gives_unit_rows(self, embedder):
        """n texts give float32 (n, d), rows of length 1."""
        vectors = embedder.embed(TEXTS)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), LOCAL[embedder.name])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_a_vector_does_not_depend_on_the_call(self, embedder):
        """Alone, in another order and among many, a text gets the same vector to the last bit."""
        words = ["mill", "lamp", "boat", "quay", "oats", "tide", "rope", "bell", "wharf", "gull", "cask", "tar"]
        many = TEXTS + [" ".join(words[i : i + n]) for n in range(1, 7) for i in range(12 - n)] * 3
        together = embedder.embed(many)
        order = np.random.default_rng(7).permutation(len(many))
        np.testing.assert_array_equal(embedder.embed([many[i] for i in order]), together[order])
        for place in range(len(TEXTS) + 40):
            np.testing.assert_array_equal(embedder.embed([many[place]])[0], together[place])

    def test_no_text_gives_no_row(self, embedder):
        """An empty call has the usual width."""
        assert embedder.embed([]).shape == (0, LOCAL[embedder.name])

    def test_the_empty_text_is_no_error(self, embedder):
        """A text without words gets a finite vector."""
        assert np.isfinite(embedder.embed(["", " "])).all()

    def test_finds_what_means_the_same(self, embedder):
        """Mending bikes is nearer to repairing bicycles than baking bread is."""
        repair, mend, bake = embedder.embed(TEXTS[:3])
        assert repair @ mend > repair @ bake + 0.1

    def test_has_a_fingerprint_of_its_own(self, embedder):
        """No two embedders share a fingerprint, and one has the same each time."""
        fingerprints = {name: load_embedder(name).fingerprint for name in LOCAL}
        assert embedder.fingerprint == fingerprints[embedder.name]
        assert len(set(fingerprints.values())) == len(LOCAL)


@pytest.mark.models
@pytest.mark.parametrize(("name", "least"), [("minilm-float32", 0.99999), ("minilm", 0.97)])
def test_minilm_agrees_with_torch(name, least):
    """The vectors are those that torch computes with the same weights, to rounding or to quantisation."""
    reference = files("labelmill.models.embedders").joinpath("minilm_reference.json").read_text("utf-8")
    cases = json.loads(reference)["cases"]
    vectors = load_embedder(name).embed([case["text"] for case in cases])
    expected = np.array([case["vector"] for case in cases])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert (np.sum(vectors * expected, axis=1) >= least).all()


@pytest.mark.models
def test_minilm_reads_256_tokens():
    """What stands beyond the limit changes nothing; what stands before it does."""
    minilm = load_embedder("minilm")
    start = "rope " * 254
    whole, longer, other = minilm.embed([start, f"{start} bread", f"bread {start}"])
    np.testing.assert_array_equal(whole, longer)
    assert (whole != other).any()


@pytest.fixture(scope="module", params=["minilm", "minilm-float32"])
def minilm(request):
    return load_embedder(request.param)


@pytest.mark.models
class TestTokensOfMiniLM:
    """A vector for every token, beside the one for the text."""

    def test_are_unit_rows_one_a_token(self, minilm):
        """As many rows as numbers, equal words with equal numbers, and none where there is no word."""
        vectors, numbers = minilm.embed_tokens([*TEXTS, ""]), minilm.tokenise([*TEXTS, ""])
        for rows, ids in zip(vectors, numbers, strict=True):
            assert rows.dtype == np.float32
            assert rows.shape == (len(ids), 384)
            np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert len(numbers[-1]) == 0
        (mill, wind), (mills,) = minilm.tokenise(["mill wind", "MILL"])[0], minilm.tokenise(["mill"])[0]
        assert mill == mills != wind

    def test_do_not_depend_on_the_call(self, minilm):
        """Alone, backwards and among many, a token gets the same vector to the last bit."""
        many = [*TEXTS, *(f"{word} boat" for word in ["quay", "oats", "tide", "rope", "bell", "wharf", "gull", "cask"])]
        together = minilm.embed_tokens(many)
        for text, rows, turned in zip(many, together, minilm.embed_tokens(many[::-1])[::-1], strict=True):
            np.testing.assert_array_equal(minilm.embed_tokens([text])[0], rows)
            np.testing.assert_array_equal(turned, rows)

    def test_are_read_to_the_end(self, minilm):
        """Beyond 256 tokens too: what comes first and what comes last have their rows."""
        (rows,), (ids,) = minilm.embed_tokens(["rope " * 600 + "bread"]), minilm.tokenise(["rope " * 600 + "bread"])
        assert rows.shape == (601, 384)
        assert ids[0] == ids[599] != ids[600]

    def test_leave_the_vectors_of_texts_as_they_are(self, minilm):
        """Asked before or after, and by another of the same name."""
        fresh = load_embedder(minilm.name).embed(TEXTS)
        minilm.embed_tokens(TEXTS)
        np.testing.assert_array_equal(minilm.embed(TEXTS), fresh)
        assert minilm.fingerprint == load_embedder(minilm.name).fingerprint

    def test_know_their_context(self, minilm):
        """A bank of a river is nearer to a shore than a bank with tellers is."""
        river, money, shore = minilm.embed_tokens(
            ["the bank of the river", "the bank lends money", "the shore of the lake"]
        )
        assert river[1] @ shore[1] > money[1] @ shore[1] + 0.1


@pytest.mark.models
def test_use_knows_german():
    """The multilingual encoder puts a word near its translation."""
    repair, german, bread = load_embedder("use").embed(["repair bicycles", "Fahrräder reparieren", "bake rye bread"])
    assert repair @ german > repair @ bread + 0.2


@pytest.mark.parametrize("spec", ["", "bert", "st:", "MINILM", "model@ftp://host/v1", "model@"])
def test_names_the_choices(spec):
    """What is no embedder is answered with the ways to name one."""
    with pytest.raises(InputError, match=r"Use minilm, use, wordllama, st:NAME or MODEL@http"):
        load_embedder(spec)


@pytest.mark.parametrize(
    "spec", ["@http://host/v1", "m@http://", "m@http://[::1/v1", "http://user:hidden@host/v1", "m@HTTP://u:hidden@host"]
)
def test_refuses_a_malformed_address(spec):
    """A URL without host or without model is refused, and nothing of it is repeated."""
    with pytest.raises(InputError, match="MODEL@http://host:port/v1") as caught:
        load_embedder(spec)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hidden@host/v1",
        "https://hidden@host/v1",
        "http://:hidden@host/v1",
        "http://host/v1?key=hidden",
        "http://host/v1?key=a@hidden",
        "http://host/v1#hidden",
    ],
)
def test_refuses_an_address_with_a_secret(url):
    """A URL is stored and printed, so a key in it is refused in one line without showing it."""
    with pytest.raises(InputError, match="OPENAI_API_KEY") as caught:
        load_embedder(f"org/model@{url}")
    assert "hidden" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_splits_model_and_address():
    """A model's name may hold an organisation and an '@'."""
    embedder = load_embedder("org/model@v2@http://127.0.0.1:8000/v1/")
    assert embedder.name == "org/model@v2@http://127.0.0.1:8000/v1"
    assert embedder.fingerprint == "server:org/model@v2"


def test_sentence_transformers_is_an_extra():
    """Without the package the message has the line that installs it."""
    try:
        import sentence_transformers  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"labelmill\[gpu\]"):
            load_embedder("st:some/model").embed(["x"])
    else:
        pytest.skip("sentence-transformers is installed")
