"""A file that cannot be used: one line that names it and says what to do, and nothing of it is harmed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from written_runs import Written, key_of

from labelmill.errors import StoreError
from labelmill.store import Store
from labelmill.store.reader import read_taxonomy
from labelmill.taxonomy import Taxonomy

HERE = Path(__file__).parent
NOBODY = 65534

HOLD = """
import sys
from labelmill.store import Store
with Store(sys.argv[1], write=True) as store:
    store.connection.execute("INSERT INTO taxonomies VALUES ('t', 'held', 1)")
    print("ready", flush=True)
    sys.stdin.readline()
"""

FILL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from written_runs import Written
from labelmill.errors import StoreError
from labelmill.records import Failure
from labelmill.store import Store

limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
written, done = Written(Path(sys.argv[1])), 0
try:
    with Store(written.path, write=True) as store:
        writer = written.writer(store)
        for number in range(400):
            name = f"{number:05}"
            writer.write([written.document(name)], [Failure(f"f{name}", "read", "x", "salt " * 4000)], [])
            done += 1
except StoreError as error:
    print(done, error)
"""


@contextmanager
def refused(pattern: str):
    """Expect one line."""
    with pytest.raises(StoreError, match=pattern) as caught:
        yield
    assert len(str(caught.value).splitlines()) == 1


@contextmanager
def unprivileged():
    """Act as a user who is not root, whom no permission stops."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def held(tmp_path):
    """A file that another process holds for writing, and the process."""
    path = tmp_path / "locked clock.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "ready\n"
        yield path, holder
        holder.kill()


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_another_process_writes(held, write):
    """The message names the process, and the command that tells how far it is."""
    path, holder = held
    with refused(
        rf"^{re.escape(str(path))} is in use by process {holder.pid}\. Wait.* labelmill status '{path}' tells"
    ):
        Store(path, write=write)


def test_a_killed_writer_holds_nothing(held):
    """What it had committed is there, for readers and for writers."""
    path, holder = held
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    for write in (False, True):
        with Store(path, write=write) as store:
            assert store.connection.execute("SELECT source FROM taxonomies").fetchall() == [("held",)]


def test_many_may_read(written, fill):
    """Readers do not shut each other out, in this process nor from others."""
    fill([written.document("a")])
    code = "import sys; from labelmill.store import Store; Store(sys.argv[1]).close(); print('read')"
    with Store(written.path), Store(written.path):
        ended = subprocess.run(
            [sys.executable, "-c", code, str(written.path)], capture_output=True, text=True, check=True
        )
    assert ended.stdout == "read\n"


def test_reading_what_this_process_writes(written):
    """One process cannot hold a file both ways; the message says so."""
    with Store(written.path, write=True), refused("is open in this process already"):
        Store(written.path)


@pytest.mark.parametrize(
    "content",
    [b"id,text\n1,salt\n" * 900, bytes(20_000), b"SQLite format 3\0" + bytes(20_000)],
    ids=["text", "zeros", "sqlite"],
)
@pytest.mark.parametrize("write", [True, False])
def test_a_file_of_another_kind(tmp_path, content, write):
    """It is refused, and left as it was. The word lock in its path means nothing."""
    path = tmp_path / "read-only lock.duckdb"
    path.write_bytes(content)
    with refused(f"^{path} is not a DuckDB file"):
        Store(path, write=write)
    assert path.read_bytes() == content


def test_duckdb_downloads_nothing(tmp_path):
    """No file, whatever it looks like, makes DuckDB fetch and run an extension."""
    with Store(tmp_path / "runs.duckdb", write=True) as store:
        for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
            assert store.first("SELECT current_setting(?)", [setting]) == (False,)


@pytest.mark.parametrize("write", [True, False])
def test_a_damaged_file(written, fill, write):
    """Cut short, it is refused as such."""
    fill([written.document("a")])
    written.path.write_bytes(written.path.read_bytes()[:9000])
    with refused("is cut short or damaged"):
        Store(written.path, write=write)


@pytest.mark.parametrize("tables", ["labels (x INTEGER)", "about (x INTEGER)", "about AS SELECT 'x' AS title"])
@pytest.mark.parametrize("write", [True, False])
def test_somebody_elses_database(tmp_path, tables, write):
    """A DuckDB file of another program is refused, and gets no table of ours."""
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(f"CREATE TABLE {tables}")
        before = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    with refused("is a DuckDB file, but not one of labelmill's"):
        Store(path, write=write)
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == before


@pytest.mark.parametrize("write", [True, False])
def test_another_version(written, fill, write):
    """A file of another schema is refused with both numbers."""
    fill()
    with duckdb.connect(written.path) as connection:
        connection.execute("UPDATE about SET schema_version = 99")
    with refused(r"has schema 99, this labelmill knows schema 2\. Use"):
        Store(written.path, write=write)


def test_a_file_that_is_not_there(tmp_path):
    """Reading makes no file; writing makes no folder."""
    with refused(r"nowhere\.duckdb: no such file\. Make it with: labelmill label"):
        Store(tmp_path / "nowhere.duckdb")
    with refused("its folder does not exist"):
        Store(tmp_path / "no" / "runs.duckdb", write=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_place_of_a_file(tmp_path):
    """A folder is no file, and a file is no folder."""
    (tmp_path / "file").write_text("")
    for write in (True, False):
        with refused(f"^{re.escape(str(tmp_path))} is a folder. Name a file.$"):
            Store(tmp_path, write=write)
    with refused("lies within a file"):
        Store(tmp_path / "file" / "runs.duckdb", write=True)


def test_a_path_of_one_letter(tmp_path, monkeypatch):
    """A short path leaves the letters of a message alone."""
    monkeypatch.chdir(tmp_path)
    Path("o").mkdir()
    with refused(r"^o is a folder\. Name a file\.$"):
        Store("o", write=True)
    Path("e").write_bytes(b"8 bytes.DUCK")
    with refused(r"^e is cut short or damaged\."):
        Store("e", write=True)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc")
def test_a_folder_that_takes_no_files():
    """It does exist, and the message does not say otherwise."""
    with refused(r"^/proc/e\.duckdb cannot be made: its folder takes no new files\. Name another file\.$"):
        Store("/proc/e.duckdb", write=True)


def test_a_folder_without_permission():
    """Where nothing may be written or read, the message says permission."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.duckdb"
        Store(path, write=True).close()
        path.chmod(0o000)
        Path(folder).chmod(0o555)
        with unprivileged():
            for name, write in (("runs.duckdb", False), ("runs.duckdb", True), ("new.duckdb", True)):
                with refused(f"{name} cannot be opened: permission denied"):
                    Store(Path(folder) / name, write=write)
        Path(folder).chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes there")
@pytest.mark.parametrize("limit", [300_000, 1_500_000])
def test_a_full_disk(written, limit):
    """When the file cannot grow: one line; whole batches are kept; with room again the run goes on."""
    command = [sys.executable, "-c", FILL, str(written.path), str(HERE), str(limit)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    done, message = ended.stdout.strip().split(" ", 1)
    assert "the disk is full. Free some space" in message
    with Store(written.path, write=True) as store:
        writer = written.writer(store)
        assert (
            sum(writer.stored.done(key_of(f"{number:05}")) for number in range(400))
            == len(writer.stored.failed())
            == int(done)
        )
        writer.write([written.document("after")], [], [])
    names = [name for (name,) in written.rows("SELECT document FROM documents ORDER BY document")]
    assert names == [*(f"{number:05}" for number in range(int(done))), "after"]
    assert written.rows("SELECT count(*) FROM predictions") == [(2 * len(names),)]


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("name", ["tags.csv", "docs.jsonl", "labels.parquet", "runs.duckdb"])
def test_a_file_of_another_format_is_never_opened(tmp_path, name, write):
    """DuckDB opens CSV, JSON and Parquet in memory: what is written there is lost at the end."""
    path = tmp_path / name
    path.write_text('{"id": "a", "text": "b"}\n')
    with pytest.raises(StoreError, match="is not a DuckDB file"):
        Store(path, write=write)
    assert path.read_text() == '{"id": "a", "text": "b"}\n'


def test_a_new_store_does_not_take_another_formats_name(tmp_path):
    """It would be mistaken for one."""
    with pytest.raises(StoreError, match=r"Name it \.duckdb"):
        Store(tmp_path / "labels.csv", write=True)
    assert not (tmp_path / "labels.csv").exists()


def test_an_empty_file_is_taken_for_a_new_store(tmp_path):
    """As mktemp makes them."""
    path = tmp_path / "runs.duckdb"
    path.touch()
    with Store(path, write=True) as store:
        assert store.first("SELECT count(*) FROM runs") == (0,)


def test_a_writer_takes_little_of_the_machine(tmp_path):
    """However large the file grows, blocks of it are kept in little memory; and retrieval has the cores."""
    with Store(tmp_path / "runs.duckdb", write=True) as store:
        assert store.first("SELECT current_setting('threads')") == (1,)
        limit = store.first("SELECT current_setting('memory_limit')")[0]
        assert float(limit.split()[0]) < 600
        assert limit.endswith("MiB")


def test_many_rows_go_in_by_parts(tmp_path):
    """A taxonomy of more labels than are sent at once is whole, and in order."""
    names = [f"label {number}" for number in range(25_001)]
    path = tmp_path / "runs.duckdb"
    with Store(path, write=True) as store:
        Written(path).writer(store, taxonomy=Taxonomy.from_names(names))
    with Store(path) as store:
        assert read_taxonomy(store, "first").names == tuple(names)


def test_ctrl_c_in_the_midst_of_a_query_is_ctrl_c(tmp_path):
    """DuckDB says so in words of its own; what is wrong otherwise stays what it is."""
    with Store(tmp_path / "runs.duckdb", write=True) as store:
        with pytest.raises(KeyboardInterrupt), store.errors():
            raise RuntimeError("Query interrupted")
        with pytest.raises(RuntimeError, match="another"), store.errors():
            raise RuntimeError("another")
