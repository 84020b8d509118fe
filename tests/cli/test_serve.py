"""`labelmill serve` with real processes and real signals; vLLM is played by tests/fake_vllm.py."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chat_server import Reply
from fake_vllm import install_command, install_module

KEY = "sk-secret-of-mine"
PATIENCE = 60.0


def until(what: Callable[[], object], message: str) -> None:
    """Wait for something that is about to be."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, message
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Tell whether a process runs; one that has ended and that nobody has asked for yet does not."""
    try:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no ps")
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")


@dataclass
class Serving:
    """A `labelmill serve` that runs."""

    process: subprocess.Popen[str]
    seen_file: Path
    log: Path

    def seen(self) -> dict[str, object]:
        """Wait for what vLLM saw of its start."""
        until(lambda: self.seen_file.exists() or self.process.poll() is not None, "vLLM did not start")
        return json.loads(self.seen_file.read_text(encoding="utf-8"))

    def ready(self) -> str:
        """Wait for the line on standard output."""
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return line.rstrip("\n")

    def json(self) -> dict[str, str]:
        """Wait for the object on standard output."""
        lines = [self.ready()]
        while lines[-1] != "}":
            lines.append(self.ready())
        return json.loads("".join(lines))

    def end(self) -> tuple[int, str]:
        """Wait for its end: the exit code, and what it said to people."""
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def nothing_is_left(self) -> bool:
        """Neither vLLM nor its child."""
        seen = json.loads(self.seen_file.read_text(encoding="utf-8"))
        until(lambda: not alive(seen["self"]) and not alive(seen["child"]), "a process was left behind")
        return True


Serve = Callable[..., Serving]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start `labelmill serve` on any free port, with the command ``vllm`` on PATH."""
    install_command(tmp_path / "bin")
    started: list[Serving] = []

    def start(*words: object, **environment: str) -> Serving:
        serving = Serving(None, tmp_path / "seen.json", tmp_path / "serve.log")
        options = ["--port", 0, "--log", serving.log] if "--port" not in words else ["--log", serving.log]
        place = words.index("--") if "--" in words else len(words)
        command = [sys.executable, "-m", "labelmill", "serve", *words[:place], *options, *words[place:]]
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        serving.process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": path, "FAKE_VLLM_SEEN": str(serving.seen_file), **environment},
        )
        started.append(serving)
        return serving

    yield start
    for serving in started:
        serving.process.kill()
        serving.process.communicate()
        if serving.seen_file.exists():
            seen = json.loads(serving.seen_file.read_text(encoding="utf-8"))
            for left in (seen["self"], seen["child"]):
                if alive(left):
                    os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 7)])
def test_it_tells_what_to_use_and_ends_when_told(serve, number, expected):
    """The value for --lm alone on standard output; vLLM gets the signal, gives its exit code, and leaves no child.

    Ctrl-C is an interruption, whatever vLLM's code is.
    """
    serving = serve("toy", FAKE_VLLM_CODE="7")
    spec = serving.ready()
    model, _, url = spec.partition("@")
    assert model == "toy"
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/v1")
    serving.process.send_signal(number)
    code, said = serving.end()
    assert code == expected
    assert f"--lm {spec}" in said
    assert str(serving.log) in said
    assert f"asked to end by {number.name}" in serving.log.read_text(encoding="utf-8")
    assert serving.nothing_is_left()


def test_a_closed_terminal_ends_it(serve):
    """vLLM is asked politely, so that it ends its engine."""
    serving = serve("toy")
    serving.ready()
    serving.process.send_signal(signal.SIGHUP)
    assert serving.end()[0] == 0
    assert "asked to end by SIGTERM" in serving.log.read_text(encoding="utf-8")
    assert serving.nothing_is_left()


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGKILL)])
def test_a_second_signal_kills_what_ignores_the_first(serve, number, expected):
    """Nobody has to wait for vLLM, and the first signal is answered with that."""
    serving = serve("stubborn")
    serving.ready()
    serving.process.send_signal(number)
    said = next((line for line in serving.process.stderr if "second Ctrl-C" in line), "it has ended without a word")
    assert "waits for open requests" in said
    assert serving.process.poll() is None
    serving.process.send_signal(number)
    assert serving.end()[0] == expected
    assert serving.nothing_is_left()


def test_a_signal_during_the_start_ends_it(serve):
    """With the signal's code, and without any word of failure."""
    serving = serve("slow")
    serving.seen()
    serving.process.send_signal(signal.SIGINT)
    code, said = serving.end()
    assert code == 128 + signal.SIGINT
    assert "labelmill:" not in said
    assert serving.nothing_is_left()


def test_what_forgets_a_signal_while_it_starts_is_killed(serve):
    """vLLM does so for a moment; there is nothing to lose yet, so nobody waits long."""
    serving = serve("slow-and-stubborn")
    serving.seen()
    until(lambda: "Loading" in serving.log.read_text(encoding="utf-8"), "it did not come that far")
    serving.process.terminate()
    assert serving.end()[0] == 128 + signal.SIGTERM
    assert serving.nothing_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_killed_outright_it_takes_vllm_along(serve):
    """The server gets a signal from the system."""
    serving = serve("toy")
    serving.ready()
    serving.process.kill()
    serving.process.wait()
    until(lambda: not alive(serving.seen()["self"]), "vLLM was left behind")


def test_json_says_the_same_to_programs(serve):
    """The value, its parts, and the log."""
    serving = serve("toy", "--name", "mine", "--json")
    told = serving.json()
    assert told["lm"] == f"mine@{told['url']}"
    assert (told["model"], told["log"]) == ("mine", str(serving.log))


def test_an_embedder_is_announced_as_one(serve):
    """With the option that takes it."""
    serving = serve("toy", "--embeddings", "--json")
    assert set(serving.json()) == {"embedder", "url", "model", "log"}
    words = serving.seen()["words"]
    assert words[words.index("--runner") + 1] == "pooling"


def test_a_python_with_vllm_is_used_as_a_module(serve, tmp_path):
    """Rather than the command on PATH; a build for CPUs gets its environment."""
    python = install_module(tmp_path / "env", "0.32.0+cpu")
    serving = serve("toy", "--python", python)
    serving.ready()
    seen = serving.seen()
    assert seen["words"][:2] == ["--model", "toy"]
    assert seen["environment"]["VLLM_CPU_KVCACHE_SPACE"]
    assert seen["environment"]["VLLM_NO_USAGE_STATS"] == "1"


def test_flags_behind_the_dashes_reach_vllm_as_they_are(serve):
    """No shell sees them; the key in them is nowhere to be read."""
    odd = '{"a": "$(touch /tmp/x); `b`"}'
    serving = serve("toy", "--", "--override-generation-config", odd, "--api-key", KEY, "--max-num-seqs", "3")
    serving.ready()
    assert serving.seen()["words"][-6:] == [
        "--override-generation-config",
        odd,
        "--api-key",
        KEY,
        "--max-num-seqs",
        "3",
    ]
    serving.process.terminate()
    _, said = serving.end()
    assert KEY not in said
    assert "OPENAI_API_KEY" in said
    assert KEY not in serving.log.read_text(encoding="utf-8").splitlines()[0]
    assert serving.log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["too-big"], "out of memory (ValueError: No available memory for the cache blocks"),
        (["nobody/nothing"], "unknown model"),
        (["taken-port"], "its port is in use"),
        (["odd"], "KeyError: 'rope_scaling'."),
        (["toy", "--", "--no-such-flag"], "unrecognized arguments: --no-such-flag"),
    ],
)
def test_a_death_before_the_first_answer_is_one_line(serve, words, expected):
    """The cause, what to do, and where the log is; exit code 1, and nothing on standard output."""
    serving = serve(*words)
    out, said = serving.process.communicate(timeout=PATIENCE)
    assert (serving.process.returncode, out) == (1, "")
    (line,) = [line for line in said.splitlines() if line.startswith("labelmill:")]
    assert expected in line
    assert str(serving.log) in line
    assert "Traceback" not in said
    if "--no-such-flag" not in words:
        assert serving.nothing_is_left()


def test_a_death_later_is_told_with_its_reason(serve):
    """And with vLLM's exit code."""
    serving = serve("short-lived")
    serving.ready()
    code, said = serving.end()
    assert code == 9
    assert "vLLM ended with code 9: out of memory" in said
    assert serving.nothing_is_left()


def test_a_log_is_added_to(serve):
    """What an earlier start left in it stays, and is not taken for the reason of this one's end."""
    serving = serve("odd")
    assert "rope_scaling" in serving.end()[1]
    again = serve("too-big")
    assert "out of memory" in again.end()[1]
    assert "rope_scaling" in serving.log.read_text(encoding="utf-8")


def test_a_port_in_use_starts_nothing(serve):
    """One line, at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serving = serve("toy", "--port", port)
        code, said = serving.end()
    assert code == 1
    assert f"127.0.0.1:{port}" in said
    assert not serving.seen_file.exists()


def test_a_log_that_cannot_be_written_is_an_error(cli, tmp_path, monkeypatch):
    """Before anything starts."""
    install_command(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "file").touch()
    shown = cli("serve", "toy", "--port", 0, "--log", tmp_path / "file" / "log")
    assert shown.code == 1
    assert "--log" in shown.err


def test_without_vllm_the_error_says_how_to_install_it(cli, tmp_path, monkeypatch):
    """In one line, with exit code 1."""
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = cli("serve", "toy")
    assert (shown.code, shown.out) == (1, "")
    assert "pip install vllm" in shown.err
    assert len(shown.err.splitlines()) == 1


def test_without_a_model_it_is_used_wrongly(cli):
    """Exit code 2, as for any usage."""
    assert cli("serve").code == 2


def test_check_prints_a_table(cli, chat_server):
    """Of what a server can do, and below it of what labelmill will miss."""
    chat_server.models = ["[red]"]  # no markup
    shown = cli("serve", "--check", chat_server.url)
    assert (shown.code, shown.err) == (0, "")
    for part in ("[red]", "chat completions", "does not hold", "- Pointwise Rank does not work"):
        assert part in shown.out


def test_check_prints_json(cli, chat_server):
    """With what labelmill makes of it."""
    found = json.loads(cli("serve", "--check", f"toy@{chat_server.url}", "--json").out)
    assert (found["model"], found["chat"], found["pointwise"], found["cached_tokens"]) == ("toy", True, "none", True)
    assert found["shortcomings"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_check_fails_where_the_server_is_of_no_use(cli, chat_server, options):
    """It is told what it lacks, and a script is told by the exit code."""
    chat_server.script = [Reply(400)] * 9
    shown = cli("serve", "--check", chat_server.url, *options)
    assert shown.code == 1
    assert "It is of no use here." in shown.out


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "nowhere", "embedded", "http://u:p@127.0.0.1:9/v1"])
def test_check_without_an_answer_is_one_line(cli, url):
    """And exit code 1; a password in it is not repeated."""
    shown = cli("serve", "--check", url)
    assert (shown.code, shown.out) == (1, "")
    assert len(shown.err.splitlines()) == 1
    assert "u:p" not in shown.err
