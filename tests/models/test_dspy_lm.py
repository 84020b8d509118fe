"""The `dspy.LM` of a server: it sends the schema, keeps to this machine, and leaves nothing in the home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dspy

from labelmill.models.dspy_lm import dspy_lm
from labelmill.prompts.card import TaskCard
from labelmill.prompts.signatures import infer_signature
from labelmill.prompts.wire import ADAPTER

GUARDED = """
import sys

def guard(event, args):
    if event in {"socket.getaddrinfo", "socket.gethostbyname"} and args[0] not in {"127.0.0.1", None}:
        sys.stderr.write(f"looked up {args[0]}\\n")
    if event in {"socket.connect", "socket.sendto"} and isinstance(args[1], tuple) and args[1][0] != "127.0.0.1":
        sys.stderr.write(f"connected to {args[1]}\\n")

sys.addaudithook(guard)
"""
"""Reported, not raised: DSPy would swallow the error."""

USE = """
import dspy
from labelmill.models.dspy_lm import dspy_lm
from labelmill.pipelines.infer import Infer
from labelmill.prompts.card import TaskCard

infer = Infer(TaskCard())
infer.read('{"phrases": []}', truncated=False)
with dspy.context(lm=dspy_lm("toy", sys.argv[1])):
    print(infer(text="Knead the dough.").phrases)
"""


def guarded(code: str, argument: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process with an empty home, reporting every look beyond this machine."""
    command = [sys.executable, "-c", GUARDED + code, argument]
    settings = ("DSPY", "LITELLM", "XDG")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment | {"HOME": str(home)})


def test_nothing_leaves_this_machine_or_stays_in_the_home(chat_server, tmp_path):
    """Making and calling a model looks up no address but the server's, and writes no cache."""
    chat_server.reply = lambda body: '{"phrases": ["knead dough"]}'
    ended = guarded(USE, chat_server.url, tmp_path)
    assert (ended.stdout, ended.stderr) == ("['knead dough']\n", "")
    assert list(tmp_path.iterdir()) == []


def test_the_guard_sees_what_leaves(tmp_path):
    """A look beyond this machine would be reported, so that its absence above means something."""
    code = "import contextlib, socket\nwith contextlib.suppress(OSError): socket.getaddrinfo('name.invalid', 80)"
    assert guarded(code, "", tmp_path).stderr == "looked up name.invalid\n"


def test_the_schema_is_sent(chat_server):
    """The server is asked to hold the answer to the signature's schema."""
    with dspy.context(lm=dspy_lm("toy", chat_server.url), adapter=ADAPTER):
        dspy.Predict(infer_signature(TaskCard()))(text="Knead.")
    (request,) = chat_server.requests
    assert request.json["response_format"]["type"] == "json_schema"
    assert request.json["temperature"] == 0.0
    assert request.json["max_tokens"] == 256


def test_the_key_comes_from_the_environment(chat_server, monkeypatch):
    """Without a key a stand-in is sent, as local servers want one; the key is in no repr."""
    for key, sent in (("", "Bearer EMPTY"), ("sk-hidden", "Bearer sk-hidden")):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        lm = dspy_lm("toy", chat_server.url)
        assert lm("Knead.") == ['{"phrases": []}']
        assert chat_server.requests[-1].key == sent
        assert "sk-hidden" not in repr(lm) + str(lm.dump_state())


def test_equal_questions_are_asked_again(chat_server):
    """Nothing is remembered between calls: DSPy's own cache stays out of it."""
    lm = dspy_lm("toy", chat_server.url)
    assert lm("Knead.") == lm("Knead.")
    assert len(chat_server.bodies) == 2
