"""cache: an aid to speed that may be missing, damaged, hostile or locked, and costs only time then."""

import json
import os

import pytest

from kexue_bench.files import Files
from kexue_bench.store import cache
from kexue_bench.store.cache import Cache, stamp_of

OLD = 1_000_000_000_000_000_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The cache folder of one test."""
    place = tmp_path / "cache"
    monkeypatch.setenv("KEXUE_BENCH_CACHE", str(place))
    return place


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A file that is old enough to be kept."""
    path = tmp_path / "source.py"
    path.write_text("x = 1\n")
    monkeypatch.setattr(cache, "_SETTLED", -1)
    return path


def saved(source, data="data", version="1"):
    """The file of a cache that holds `data` for the source."""
    kept = Cache("kept", version=version)
    kept.put(str(source), stamp_of(source), data)
    kept.save()
    return kept.path


def found(source, version="1"):
    """What a new process finds for the source."""
    return Cache("kept", version=version).get(str(source), stamp_of(source))


def test_what_was_put_in_is_found_by_the_next_process(source):
    """The entry is plain data, and comes back equal."""
    saved(source, ["a", {"b": [1, 2.5, None, True]}])
    assert found(source) == ["a", {"b": [1, 2.5, None, True]}]


def test_a_changed_file_is_not_found(source):
    """Another size, or another time at the same size, is another file."""
    saved(source)
    source.write_text("x = 12\n")
    assert found(source) is None
    saved(source)
    os.utime(source, ns=(OLD, OLD))
    assert found(source) is None


def test_another_version_finds_nothing(source):
    """Entries are those of one reader; the next save replaces them."""
    saved(source)
    assert found(source, version="2") is None
    saved(source, version="2")
    assert found(source, version="1") is None


def test_two_processes_keep_both_their_entries(source, tmp_path):
    """Saving merges with what was written meanwhile, and drops files that are gone."""
    other = tmp_path / "other.py"
    other.write_text("y = 2\n")
    one, two = Cache("kept", version="1"), Cache("kept", version="1")
    assert one.get("x", (0, 0, 0)) is two.get("x", (0, 0, 0)) is None
    one.put(str(source), stamp_of(source), "one")
    two.put(str(other), stamp_of(other), "two")
    one.save()
    two.save()
    assert found(source) == "one"
    assert found(other) == "two"
    other.unlink()
    saved(source, "new")
    assert str(other) not in one.path.read_text()


def test_a_file_that_was_just_written_is_not_kept(tmp_path):
    """It may change again within the resolution of its times."""
    path = tmp_path / "young.py"
    path.write_text("x = 1\n")
    saved(path)
    assert found(path) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b'"data"', b'"dada"'),
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: b"\xff\xfe",
        lambda data: cache._digest(b"[" * 100_000) + b"\n" + b"[" * 100_000,
        lambda data: cache._digest(b"[]") + b"\n[]",
        lambda data: cache._digest(b'{"version": "1", "entries": []}') + b'\n{"version": "1", "entries": []}',
        lambda data: cache._digest(b"9" * 10_000) + b"\n" + b"9" * 10_000,
    ],
)
def test_a_damaged_cache_is_as_good_as_none(source, damage):
    """Nothing is read from it, nothing is raised, and the next save mends it."""
    path = saved(source)
    path.write_bytes(damage(path.read_bytes()))
    assert found(source) is None
    saved(source, "again")
    assert found(source) == "again"


def test_an_entry_of_another_form_is_not_found(source):
    """What is not a stamp fits no file."""
    path = saved(source)
    for entry in ([[1, 2], "data"], ["data"], "data", None, [list(stamp_of(source)), "data", "more"]):
        body = json.dumps({"version": "1", "entries": {str(source): entry}}).encode()
        path.write_bytes(cache._digest(body) + b"\n" + body)
        assert found(source) is None


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_cache_that_others_can_write_is_not_read(source):
    """What another user put there must not decide what a run does."""
    path = saved(source)
    path.chmod(0o666)
    assert found(source) is None
    path.unlink()
    elsewhere = path.with_name("elsewhere")
    saved(source).rename(elsewhere)
    path.symlink_to(elsewhere)
    assert found(source) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_a_pipe_in_its_place_does_not_block(source, folder):
    """Only a plain file is opened."""
    folder.mkdir()
    os.mkfifo(folder / "kept.json")
    assert found(source) is None


def test_a_folder_that_cannot_be_written_is_left_alone(source, folder):
    """A file where the folder should be, or a disk that is full, costs nothing but the speed."""
    folder.write_text("a file")
    saved(source)
    assert found(source) is None
    folder.unlink()

    class Full(Files):
        def write(self, fd, data):
            raise OSError(28, "No space left on device")

    kept = Cache("kept", version="1", files=Full())
    kept.put(str(source), stamp_of(source), "data")
    kept.save()
    assert list(folder.iterdir()) == []


def test_the_users_cache_folder_is_used_where_none_is_named(monkeypatch):
    """The variable is for those who want another place."""
    monkeypatch.delenv("KEXUE_BENCH_CACHE")
    assert "kexue-bench" in str(cache.folder())
