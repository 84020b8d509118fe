"""How a user names a language model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelmill.errors import InputError
from labelmill.models.spec import ModelSpec

URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("none", ModelSpec("none")),
        ("embedded", ModelSpec("embedded")),
        (URL, ModelSpec("server", "", URL)),
        (f"{URL}/", ModelSpec("server", "", URL)),
        (f"toy@{URL}", ModelSpec("server", "toy", URL)),
        (f"org/toy:7b@{URL}", ModelSpec("server", "org/toy:7b", URL)),
        (f"toy@2024@{URL}", ModelSpec("server", "toy@2024", URL)),
        ("toy@https://models.example:8443/v1", ModelSpec("server", "toy", "https://models.example:8443/v1")),
        ("toy@http://[::1]:8000/v1", ModelSpec("server", "toy", "http://[::1]:8000/v1")),
    ],
)
def test_the_forms(text, spec):
    """None, embedded, a server's URL, and a model at one."""
    assert ModelSpec.parse(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "gpt", "None", "toy@", "toy@localhost:8000", "ftp://host/v1", "http://", "toy@http:///v1", "http://[::1/v1"],
)
def test_anything_else_is_an_error(text):
    """The message repeats what was given and lists the forms, on one line."""
    with pytest.raises(InputError, match="Use none, embedded, MODEL@http") as caught:
        ModelSpec.parse(text)
    assert repr(text) in str(caught.value)


def test_a_model_needs_a_name():
    """An '@' without a name before it is told as that."""
    with pytest.raises(InputError, match="no model name before '@'"):
        ModelSpec.parse(f"@{URL}")


@pytest.mark.parametrize(
    "text",
    [
        "http://me:sesame@host/v1",
        "toy@https://me:sesame@host/v1",
        "toy@http://sesame@host/v1",
        "http://host/v1?key=sesame",
        "toy@http://host/v1#sesame",
        "http://me:sesame@http-host/v1",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(text):
    """A URL is stored and printed, so a key in it is refused without showing it."""
    with pytest.raises(InputError, match="OPENAI_API_KEY") as caught:
        ModelSpec.parse(text)
    assert "sesame" not in str(caught.value)


@given(st.text() | st.from_regex(r".{0,3}@?https?:[/@\[\]:?]{0,5}.{0,5}"))
def test_any_text_is_a_model_or_an_error_of_one_line(text):
    """Whatever is given, the answer is a specification or an error for people."""
    try:
        kind = ModelSpec.parse(text).kind
    except InputError as error:
        kind = "error" if len(str(error).splitlines()) == 1 else str(error)
    assert kind in {"none", "embedded", "server", "error"}
