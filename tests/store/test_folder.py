"""folder: a run folder appears complete or not at all, under a number of its own and a harmless name."""

from __future__ import annotations

import errno
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from kexue_bench.errors import ResultsError
from kexue_bench.files import OS_FILES, Files
from kexue_bench.store import folder
from kexue_bench.store.folder import Head, make_folder, parse_name, read_head
from kexue_bench.store.results import RunWriter, list_runs, load_run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a stored run"),
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "not written by kexue-bench"),
        ('{"schema": "asv/1"}', "not written by kexue-bench"),
        ('{"schema": "kexue-bench/1"}', "damaged"),
        ('{"schema": "kexue-bench/99", "plan": {}}', "newer kexue-bench"),
        ('{"schema": "kexue-bench/1", "name": NaN}', "damaged"),
        ('{"schema": "kexue-bench/1", "name": "é", "plan": {}}', "not ASCII"),
        ('{"crc":"00000000","schema": "kexue-bench/1"}', "checksum does not match"),
        ('{"schema": "kexue-bench/1", "crc":"00000000"}', "checksum is damaged"),
        ('{"schema": "kexue-bench/1", "name": ' + "[" * 900 + "[]," * 400_000, "could take"),
        ('{"schema": "kexue-bench/1", "name": ' + "[" * 50_000, "damaged"),
    ],
)
def test_a_foreign_or_damaged_folder_is_an_error_of_results(root, content, message):
    """Exit code 4, for reading and for writing; nothing is written into it."""
    path = root / "0001-20260101T000000Z-x"
    path.mkdir(parents=True)
    if content is not None:
        (path / "run.json").write_text(content)
    before = sorted(path.iterdir())
    with pytest.raises(ResultsError, match=message) as caught:
        load_run(path)
    assert caught.value.exit_code == 4
    if content is not None:
        with pytest.raises(ResultsError):
            RunWriter.open(path)
    assert sorted(path.iterdir()) == before


def test_every_flipped_bit_of_the_request_is_an_error(root, plan):
    """None shows the label of another method: the checksum covers the file, as that of a line covers the line."""
    with RunWriter.create(root, name="x", plan=plan, environment={}) as writer:
        file = writer.path / "run.json"
    content = file.read_bytes()
    read_head(writer.path)
    for bit in range(0, 8 * len(content), 7):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        with pytest.raises(ResultsError):
            read_head(writer.path)
    # A transfer that changes the ends of lines is no damage, nor is a file from before there was a checksum.
    for kept in (content.rstrip() + b"\r\n", b"\xef\xbb\xbf" + content, b"{" + content[len('{"crc":"00000000",') :]):
        file.write_bytes(kept)
        assert read_head(writer.path).plan == plan


def test_links_are_neither_read_nor_listed(root, tmp_path, plan):
    """A request that is a link is refused, whatever is behind it; a linked folder is no run of this results folder."""
    with RunWriter.create(root, name="x", plan=plan, environment={}) as writer:
        pass
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "run.json").write_bytes((writer.path / "run.json").read_bytes())
    (root / "0002-20991231T000000Z-x").symlink_to(elsewhere)
    assert [info.path for info in list_runs(root)] == [writer.path]
    for target in (elsewhere / "run.json", "/dev/zero"):
        (writer.path / "run.json").unlink()
        (writer.path / "run.json").symlink_to(target)
        with pytest.raises(ResultsError, match="links are not followed"):
            read_head(writer.path)


def test_a_request_takes_memory_in_proportion_to_its_size(root, plan):
    """The densest JSON that is accepted takes 16 times its size; what this program writes takes 5 times."""
    with RunWriter.create(root, name="x", plan=plan, environment={}) as writer:
        file = writer.path / "run.json"
    for piece in (b"[],", b'{"a":[]},', b"[" * 30 + b"]" * 30 + b",", b'"ab",', b"123456789,"):
        document = b'{"schema":"kexue-bench/1","environment":[%s0]}' % (piece * (2_000_000 // len(piece)))
        file.write_bytes(document)
        tracemalloc.start()
        with pytest.raises(ResultsError):
            read_head(writer.path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 18 * len(document) + (16 << 20), piece


@pytest.mark.parametrize("name", ["../../etc", "/abs", "a\0b", "", "CON", ".", "x" * 400, "ß\u202e", "a b/c"])
def test_no_name_leaves_the_results_folder(root, plan, name):
    """Names are reduced to a harmless file name; the given name is kept inside."""
    with RunWriter.create(root, name=name, plan=plan, environment={}) as writer:
        assert writer.path.parent == root
        assert len(writer.path.name) < 80
    assert [path.name for path in root.iterdir()] == [writer.path.name]
    assert load_run("latest", root).name == name


def failing(call: str, at: int) -> Files:
    """A file layer whose `at`-th and later calls of one kind find the disk full."""

    def fail(self, *args):
        self.calls += 1
        if self.calls >= at:
            raise OSError(errno.ENOSPC, "no space")
        return getattr(Files, call)(self, *args)

    return type("Failing", (Files,), {call: fail, "calls": 0})()


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "fsync_dir"])
def test_a_folder_appears_complete_or_not_at_all(tmp_path, plan, call):
    """Fail at the 1st, 2nd, ... call of each kind while a run is made: either a run that opens, or nothing."""
    for at in range(1, 20):
        root = tmp_path / f"{call}{at}"
        files = failing(call, at)
        try:
            with RunWriter.create(root, name="x", plan=plan, environment={}, files=files):
                pass
        except ResultsError:
            assert list(root.iterdir()) == []
        else:
            assert load_run("latest", root).plan == plan
        if files.calls < at:
            break
    else:
        pytest.fail("the fault never stopped hitting")


MAKE_RUNS = """
import os, sys
from pathlib import Path
from kexue_bench.api import Plan
from kexue_bench.files import OS_FILES
from kexue_bench.store.folder import Head, make_folder, parse_name, read_head
from kexue_bench.store.results import RunWriter
for _ in range(6):
    RunWriter.create(Path(sys.argv[1]), name=f"p{os.getpid()}", plan=Plan(jobs=()), environment={}).close()
"""


def test_processes_that_create_at_once_get_different_numbers(root):
    """Four processes making six runs each: 24 folders, 24 numbers, no leftovers."""
    workers = [subprocess.Popen([sys.executable, "-c", MAKE_RUNS, str(root)]) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    numbers = [info.number for info in list_runs(root)]
    assert len(numbers) == 24
    assert len(set(numbers)) == 24
    assert len(list(root.iterdir())) == 24


def test_a_run_with_the_last_number_does_not_hide_later_ones(root, plan):
    """A folder of a third party may have any number; the next run has one that is listed, and is the latest."""
    for number in (1, 2, 999999998, 999999999):
        path = root / f"{number:04}-20260101T000000Z-x"
        path.mkdir(parents=True)
        (path / "run.json").write_text("{}")
    made = [make_folder(root, Head(name="y", plan=plan, environment={}), OS_FILES) for _ in range(2)]
    assert [parse_name(path)[0] for path in made] == [3, 4]
    assert [info.path for info in list_runs(root)][-2:] == made


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("0007-20261122T071500Z-gradients", (7, "20261122T071500Z", "gradients")),
        ("123456789-20261122T071500Z-a-2", (123456789, "20261122T071500Z", "a-2")),
        ("7-20261122T071500Z-gradients", None),
        ("0007-20261122T071500Z-", None),
        ("0007-20261122T071500Z-Up", None),
        ("0007-20261122-gradients", None),
        (".new-12-abcd", None),
    ],
)
def test_the_name_of_a_folder_holds_its_number(name, parts):
    """Number, stamp and name; a folder of any other name is no run."""
    assert parse_name(Path("results") / name) == parts


def test_a_number_is_one_more_than_the_largest(tmp_path, plan):
    """Gaps stay gaps: a run that was deleted does not lend its number to another."""
    head = Head(name="x", plan=plan, environment={})
    (tmp_path / "0041-20261122T071500Z-old").mkdir()
    (tmp_path / "notes").mkdir()
    numbers = [parse_name(make_folder(tmp_path, head, OS_FILES))[0] for _ in range(2)]
    assert numbers == [42, 43]


def test_what_was_asked_comes_back(tmp_path, plan):
    """Name, plan, environment and command, whatever the name became on the disk."""
    head = Head(name="Über/alles", plan=plan, environment={"cpu": "x"}, command=("compare", "gradients"))
    path = make_folder(tmp_path, head, OS_FILES)
    assert path.name.endswith("Z-ber-alles")
    assert read_head(path) == head


def test_a_folder_that_appears_under_our_name_is_left_alone(tmp_path, plan, monkeypatch):
    """Another process takes the number between the look and the rename: ours becomes the next one."""
    rename, taken = Path.rename, []

    def late(self, target):
        if not taken:
            taken.append(Path(target))
            taken[0].mkdir()
            (taken[0] / "run.json").write_text("theirs")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    path = make_folder(tmp_path, Head(name="x", plan=plan, environment={}), OS_FILES)
    assert (taken[0] / "run.json").read_text() == "theirs"
    assert [parse_name(p)[0] for p in (taken[0], path)] == [1, 2]
    assert sorted(tmp_path.iterdir()) == [taken[0], path]


def test_who_sees_another_of_its_number_moves_on(tmp_path, plan, monkeypatch):
    """Two processes may take one number under two names; one of them looks again and leaves it to the other."""
    rename, others = Path.rename, []

    def beside(self, target):
        out = rename(self, target)
        if not others:
            others.append(Path(target).with_name(f"{Path(target).name[:4]}-20200101T000000Z-other"))
            others[0].mkdir()
        return out

    monkeypatch.setattr(Path, "rename", beside)
    path = make_folder(tmp_path, Head(name="x", plan=plan, environment={}), OS_FILES)
    assert [parse_name(p)[0] for p in (others[0], path)] == [1, 2]


def test_a_head_that_cannot_be_read_says_why(tmp_path, plan, monkeypatch):
    """Larger than any run, or no file at all."""
    path = make_folder(tmp_path, Head(name="x", plan=plan, environment={}), OS_FILES)
    monkeypatch.setattr(folder, "MAX_RUN_FILE", 10)
    with pytest.raises(ResultsError, match="too large"):
        read_head(path)
    with pytest.raises(ResultsError, match="cannot be read"):
        read_head(tmp_path / "missing")
