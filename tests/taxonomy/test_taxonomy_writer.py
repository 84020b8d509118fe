"""A taxonomy's file is written whole, or one line says why not and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labelmill.errors import InputError, TaxonomyError
from labelmill.records import Label
from labelmill.taxonomy import Taxonomy, write_jsonl

TAXONOMY = Taxonomy.from_names([f"kind of bread {number}" for number in range(2000)])

LIMITED = """
import resource, sys
from labelmill.errors import InputError
from labelmill.taxonomy import Taxonomy, write_jsonl

resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_jsonl(Taxonomy.from_names([f"{number * 7919}" for number in range(20000)]), sys.argv[1])
except InputError as error:
    print(error)
"""


@pytest.fixture(params=["t.jsonl", "t.jsonl.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


def complaint(path):
    with pytest.raises(InputError) as caught:
        write_jsonl(TAXONOMY, path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    """The line names the file and what to do."""
    line = complaint(tmp_path / "nodir" / "x.jsonl")
    assert line.startswith(f"{tmp_path / 'nodir' / 'x.jsonl'}: ")
    assert "Name a file in a folder" in line


def test_a_folder_in_place_of_the_file(path):
    """It stays a folder."""
    path.mkdir()
    assert str(path) in complaint(path)
    assert path.is_dir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_is_written_as_it_is():
    """And tells that it is full; nothing is moved in its place."""
    assert "No space left" in complaint("/dev/full")
    assert not Path("/dev/full").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such limit")
def test_a_disk_that_is_full_halfway(path):
    """What was there before stays, and no half of a file beside it."""
    path.write_bytes(b"before")
    told = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"{path}: the taxonomy cannot be written")
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_a_label_that_cannot_be_written_leaves_the_file_as_it_was(path):
    """An error halfway leaves no half."""
    path.write_bytes(b"before")
    with pytest.raises(TaxonomyError):
        write_jsonl(Taxonomy.from_labels([Label("a", "a"), Label("b", "b", fields={"parents": "x"})]), path)
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    """The file that it names is replaced."""
    (tmp_path / "real.jsonl").write_bytes(b"before")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    write_jsonl(TAXONOMY, tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert Taxonomy.read(tmp_path / "real.jsonl").labels == TAXONOMY.labels
