"""journal: what was appended is on the disk and is read back, whatever happens to the file around it."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from disks import FAULTS, Faulty, NoSync

from kexue_bench.errors import ResultsError
from kexue_bench.files import Files
from kexue_bench.store import journal
from kexue_bench.store.journal import Journal, read


def payload(i: int, size: int = 120) -> str:
    """A payload that names itself."""
    return json.dumps({"key": f"case-{i:04}", "text": "x" * size})


def write(path: Path, count: int, **kwargs) -> bytes:
    """A journal of `count` records, as bytes."""
    with Journal(path, **kwargs) as stored:
        stored.append([payload(i) for i in range(count)])
    return path.read_bytes()


def keys(path: Path) -> list[str]:
    """The keys that a reader finds, in the order of the file."""
    return [record.data["key"] for record in read(path).records]


def kinds(path: Path) -> list[str]:
    """Kinds of all notes."""
    return [note.kind for note in read(path).notes]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outcomes.jsonl"


# -- the format -------------------------------------------------------------------------------------------------------


def test_the_checksum_is_crc_32_of_what_follows_it(path):
    """The line can be checked with zlib alone: CRC-32 over everything between its comma and the end of the line."""
    line = write(path, 1).rstrip(b"\n")
    document = json.loads(line)
    assert list(document) == ["crc", "v", "seq", "outcome"]
    assert int(document["crc"], 16) == zlib.crc32(line[len('{"crc":"00000000",') :])


def test_records_come_back_in_order_with_their_numbers(path):
    """Appends of several calls and several writers get the numbers 1, 2, 3, ..."""
    write(path, 3)
    write(path, 2)
    assert [record.seq for record in read(path).records] == [1, 2, 3, 4, 5]
    assert read(path).notes == ()


def test_a_missing_journal_is_empty(path):
    """A run that was killed before its first outcome reads as one without outcomes."""
    assert read(path) == journal.Reading()


def test_append_reports_what_is_durable(path):
    """The number of the last line is known to be on the disk; an empty append changes nothing."""
    with Journal(path) as stored:
        assert (stored.durable, stored.append([]), stored.append([payload(0), payload(1)])) == (0, 0, 2)
        assert stored.durable == 2


def test_an_oversized_payload_is_refused_before_anything_is_written(path):
    """A line that no reader would accept is never begun."""
    with Journal(path) as stored:
        with pytest.raises(ValueError, match="bytes"):
            stored.append([payload(0), json.dumps("x" * journal.MAX_PAYLOAD)])
        stored.append([payload(1)])
    assert keys(path) == ["case-0001"]


# -- content: every cut, every bit ------------------------------------------------------------------------------------


def test_every_truncation_loses_only_what_was_cut(path):
    """Cut at any byte: all complete records are read, the tail is noted, and after sealing the next record survives."""
    with Journal(path, files=NoSync()) as stored:
        stored.append([payload(i, 10) for i in range(30)])
    text = path.read_bytes()
    ends = [i for i, byte in enumerate(text) if byte == 10]
    free = NoSync()
    for cut in range(len(text) + 1):
        path.write_bytes(text[:cut])
        # A record without its newline is complete: its checksum says so.
        whole = sum(end <= cut for end in ends)
        found = read(path)
        assert len(found.records) == whole, cut
        clean = cut == 0 or cut - 1 in ends or cut in ends
        assert [note.kind for note in found.notes] == ([] if clean else ["torn tail"]), cut
        if cut % 11 == 0 or cut in ends or cut - 1 in ends:
            with Journal(path, files=free) as stored:
                stored.append(['{"key":"next"}'])
            assert keys(path) == [f"case-{i:04}" for i in range(whole)] + ["next"], cut


def test_sealing_keeps_the_torn_bytes(path):
    """Nothing is truncated or deleted: the tail stays where it was and is copied beside the journal."""
    text = write(path, 2)
    path.write_bytes(text[:-20])
    tail = text[:-20].rpartition(b"\n")[2]
    with Journal(path) as stored:
        assert "set aside in outcomes.torn-2" in stored.notes[0]
    assert path.read_bytes() == text[:-20] + b"\n"
    assert (path.parent / "outcomes.torn-2").read_bytes() == tail


def test_every_single_bit_flip_is_detected(path):
    """Flip any bit of a line: what is read is a true subset of what was written, and a note says so."""
    text = write(path, 3)
    begin, end = text.index(b"\n") + 1, text.index(b"\n", text.index(b"\n") + 1) + 1
    truth = {record.seq: record.data for record in read(path).records}
    undetected = 0
    for position in range(begin, end):
        for bit in range(8):
            damaged = bytearray(text)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            found = read(path)
            assert all(truth[record.seq] == record.data for record in found.records)
            assert {1, 3} <= {record.seq for record in found.records}
            undetected += not found.notes
    assert undetected == 0


@pytest.mark.parametrize("position", ["front", "inside", "between"])
def test_runs_of_nul_cost_only_the_line_they_hit(path, position):
    """A file system that allocated but never wrote leaves NULs; later lines are still read."""
    lines = write(path, 5).splitlines(keepends=True)
    nul = bytes(700)
    lines[2] = {
        "front": nul + lines[2],
        "inside": lines[2][:50] + nul + lines[2][51:],
        "between": lines[2] + nul + b"\n",
    }[position]
    path.write_bytes(b"".join(lines))
    assert kinds(path) == ["damaged"]
    lost = {"case-0002"} if position == "inside" else set()
    assert set(keys(path)) == {f"case-{i:04}" for i in range(5)} - lost


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"  \t\n"),
        lambda text: text.replace(b"\n", b"\n\n\n"),
    ],
    ids=["crlf", "bom", "blanks", "empty lines"],
)
def test_editors_and_transfers_do_not_hurt(path, change):
    """CRLF, a byte order mark, blanks and empty lines around intact records lose nothing and are no damage."""
    path.write_bytes(change(write(path, 4)))
    assert len(keys(path)) == 4
    assert set(kinds(path)) <= {"converted"}


def test_good_records_inside_a_fused_line_are_recovered(path):
    """A fragment followed by a record on one line costs the fragment alone, however many are fused."""
    lines = write(path, 4).splitlines()
    path.write_bytes(lines[0][:70] + lines[1] + lines[2] + b"\n" + lines[3] + b"\n")
    assert keys(path) == ["case-0001", "case-0002", "case-0003"]
    assert kinds(path) == ["damaged"]


def test_interleaved_lines_are_damaged_not_mixed(path):
    """Two records written into each other give no record at all, never a third one."""
    lines = write(path, 3).splitlines()
    path.write_bytes(lines[0][:60] + lines[1][:60] + lines[0][60:] + lines[1][60:] + b"\n" + lines[2] + b"\n")
    assert keys(path) == ["case-0002"]
    assert set(kinds(path)) == {"damaged"}


def test_a_doubled_and_shuffled_file_holds_each_record_once(path):
    """Equal lines collapse, with a note for each."""
    lines = write(path, 20).splitlines(keepends=True)
    random.Random(0).shuffle(doubled := lines * 2)
    path.write_bytes(b"".join(doubled))
    assert sorted(keys(path)) == [f"case-{i:04}" for i in range(20)]
    assert kinds(path) == ["duplicate"] * 20


def forge(body: bytes) -> bytes:
    """A line with a right checksum over any content."""
    return b'{"crc":"%08x",%s' % (zlib.crc32(body), body)


@pytest.mark.parametrize(
    "body",
    [
        b'"v":1,"seq":1,"outcome":' + b"[" * 100_000,
        b'"v":1,"seq":1,"outcome":NaN}',
        b'"v":1,"seq":1,"outcome":' + b"9" * 5000 + b"}",
        b'"v":1,"seq":1,"outcome":"\xff\xfe"}',
        b'"v":1,"seq":1,"outcome":{}} trailing',
        b'"v":1,"seq":-1,"outcome":{}}',
        b'"seq":1,"v":1,"outcome":{}}',
        b'"v":0,"seq":1,"outcome":{}}',
    ],
    ids=["deep", "nan", "long integer", "not ascii", "trailing", "negative", "order", "version 0"],
)
def test_hostile_lines_with_a_right_checksum_are_damaged(path, body):
    """A checksum is no proof of good will: what is not strict JSON in our envelope is set aside, without an error."""
    good = write(path, 1)
    path.write_bytes(forge(body) + b"\n" + good)
    assert keys(path) == ["case-0000"]
    assert kinds(path) == ["damaged"]


def test_a_newer_schema_is_read_over_and_not_continued(path):
    """Lines of a later version are named as such by a reader; a writer of this version refuses to go on."""
    good = write(path, 1)
    path.write_bytes(good + forge(b'"v":2,"seq":2,"outcome":{"new":1}}') + b"\n")
    assert keys(path) == ["case-0000"]
    assert kinds(path) == ["newer schema"]
    with pytest.raises(ResultsError, match="newer kexue-bench"):
        Journal(path)


def test_an_endless_line_is_skipped_in_bounded_memory(path):
    """A sparse line of 300 MB is read over in chunks; the record behind it is found."""
    good = write(path, 1)
    with path.open("wb") as stream:
        stream.seek(300 << 20)
        stream.write(b"\n" + good)
    tracemalloc.start()
    assert keys(path) == ["case-0000"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert kinds(path) == ["damaged"]


def test_random_bytes_never_raise(path):
    """Whatever the bytes: spliced, mutated or noise, reading ends with records that were written, or none."""
    rng = random.Random(7)
    text = write(path, 12)
    truth = {json.dumps(record.data) for record in read(path).records}
    for _ in range(400):
        mutant = bytearray(text)
        for _ in range(rng.randrange(1, 6)):
            a, b = sorted(rng.randrange(len(mutant) + 1) for _ in range(2))
            mutant[a:b] = rng.choice([b"", rng.randbytes(rng.randrange(30)), mutant[b : b + 200], b"\n", bytes(9)])
        path.write_bytes(mutant)
        found = {json.dumps(record.data) for record in read(path).records}
        assert found <= truth


def test_a_million_bad_lines_take_the_memory_of_a_few(path):
    """Notes are counted, and the first of each kind are kept: 4 MB of two-byte lines once took 220 MB."""
    path.write_bytes(b"x\n" * 2_000_000)
    tracemalloc.start()
    found = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.counts == {"damaged": 2_000_000}
    assert len(found.notes) == journal.MAX_NOTES
    assert peak < 1 << 20


def test_a_dense_line_is_refused_before_it_is_parsed(path):
    """A right checksum over a million empty lists, which as objects would take 20 times the line."""
    body = b'"v":1,"seq":1,"outcome":[' + b"[]," * 1_000_000 + b"[]]}"
    path.write_bytes(b'{"crc":"%08x",%s\n' % (zlib.crc32(body), body))
    tracemalloc.start()
    assert kinds(path) == ["damaged"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * len(body)


def test_what_is_not_kept_takes_no_memory(path):
    """The caller turns each record into what it needs, or drops it, before the next is read."""
    write(path, 3, files=NoSync())
    assert read(path, keep=lambda record: record.seq if record.seq != 2 else None).records == (1, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_folder_in_place_of_the_journal_is_an_error(tmp_path):
    """A third party's folder cannot make a reader or a writer wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(ResultsError, match=r"plain file|Is a directory"):
            read(tmp_path / name)
        with pytest.raises(ResultsError, match=r"plain file|Is a directory"):
            Journal(tmp_path / name)


def test_links_are_not_read(tmp_path):
    """To an endless device, to a file elsewhere, to nothing: an error that says so, and not a missing journal."""
    (tmp_path / "elsewhere").write_bytes(b"secret")
    for number, target in enumerate(("/dev/zero", tmp_path / "elsewhere", "nowhere")):
        link = tmp_path / f"link{number}"
        link.symlink_to(target)
        with pytest.raises(ResultsError, match="links are not followed"):
            read(link)


# -- the disk refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "sticky"])
@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_no_fault_at_any_call_loses_what_was_acknowledged(tmp_path, kind, fault, sticky, monkeypatch):
    """Fail at call 1, 2, 3, ... until nothing fails: every acknowledged record is read, and a resume goes on.

    The journal begins with a torn tail, so that the faults hit the sealing too.
    """
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    torn = write(tmp_path / "outcomes.jsonl", 3)[:-30]
    for at in range(1, 50):
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "outcomes.jsonl"
        path.write_bytes(torn)
        files = Faulty(kind, at, fault, sticky=sticky)
        acknowledged = ["case-0000", "case-0001"]
        refused = None
        try:
            with Journal(path, files=files) as stored:
                for i in range(10, 16):
                    stored.append([payload(i), payload(100 + i)])
                    acknowledged += [f"case-{i:04}", f"case-{100 + i:04}"]
        except ResultsError as error:
            refused = error
        assert set(acknowledged) <= set(keys(path))
        harmless = fault == "short"
        assert (refused is None) == (harmless or files.calls < at)
        with Journal(path, files=NoSync()) as stored:
            stored.append(['{"key":"resumed"}'])
        assert set(acknowledged) | {"resumed"} <= set(keys(path))
        if files.calls < at:
            break
    else:
        pytest.fail("the fault never stopped hitting")


def test_a_failed_fsync_is_never_retried(path, tmp_path, monkeypatch):
    """The kernel forgets pages it could not write: after one failure every append fails, naming the durable record."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = Faulty("fsync", 2, errno.EIO, sticky=False)
    with Journal(path, files=files) as stored:
        stored.append([payload(0)])
        with pytest.raises(ResultsError, match="only up to record 1") as caught:
            stored.append([payload(1)])
        calls = files.calls
        with pytest.raises(ResultsError, match="only up to record 1"):
            stored.append([payload(2)])
    assert files.calls == calls
    assert caught.value.exit_code == 4
    rescue = next(tmp_path.glob("kexue-bench-*.jsonl"))
    assert str(rescue) in str(caught.value)
    assert [record.data["key"] for record in read(rescue).records] == ["case-0001"]


def test_an_interrupted_append_does_not_spoil_the_next(path):
    """A Ctrl-C between two writes leaves half a line; the next append starts on a line of its own."""

    class Interrupted(NoSync):
        armed = True

        def write(self, fd, data):
            if self.armed and len(data) > 1:
                self.armed = False
                super().write(fd, data[:40])
                raise KeyboardInterrupt
            return super().write(fd, data)

    with Journal(path, files=Interrupted()) as stored:
        with pytest.raises(KeyboardInterrupt):
            stored.append([payload(0)])
        stored.append([payload(1)])
    (record,) = read(path).records
    assert (record.data["key"], record.line) == ("case-0001", 2)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_journal_that_was_taken_away_is_noticed(path, tmp_path, how, monkeypatch):
    """Writing into a file that nobody can find any more is a loss: the next append says so."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Journal(path) as stored:
        stored.append([payload(0)])
        path.rename(tmp_path / "elsewhere")
        if how == "replaced":
            path.write_bytes(b"")
        with pytest.raises(ResultsError, match="only up to record 1"):
            stored.append([payload(1)])


def test_links_are_not_followed(tmp_path):
    """A journal or a lock that is a link would let a stranger's folder direct our writes elsewhere."""
    target = tmp_path / "precious"
    target.write_text("kept")
    for name in ("outcomes.jsonl", journal.LOCK_NAME):
        folder = tmp_path / f"run-{name}"
        folder.mkdir()
        (folder / name).symlink_to(target)
        with pytest.raises(ResultsError):
            Journal(folder / "outcomes.jsonl")
    assert target.read_text() == "kept"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_an_error_at_once(tmp_path):
    """No case is run for results that cannot be kept."""
    tmp_path.chmod(0o500)
    with pytest.raises(ResultsError, match="cannot be opened"):
        Journal(tmp_path / "outcomes.jsonl")
    tmp_path.chmod(0o700)


# -- the machine dies -------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The power goes."""


class Forgetful(Files):
    """A disk that keeps what was synced and, of the rest, what chance decides.

    After the crash at a random call, each unsynced write of a file survives whole, as a prefix, as NULs, or not at all;
    nothing written after a lost piece is assumed to be in order.
    """

    def __init__(self, rng: random.Random, calls: int) -> None:
        self.rng, self.left = rng, calls
        self.synced: dict[int, int] = {}
        self.paths: dict[int, Path] = {}

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash

    def open(self, path, flags):
        self.step()
        fd = super().open(path, flags)
        self.paths[fd] = path
        self.synced[fd] = os.fstat(fd).st_size
        return fd

    def write(self, fd, data):
        self.step()
        taken = super().write(fd, data[: self.rng.randrange(1, len(data) + 1)] if self.rng.random() < 0.3 else data)
        self.step()
        return taken

    def fsync(self, fd):
        self.step()
        self.synced[fd] = os.fstat(fd).st_size
        self.step()

    def fsync_dir(self, path):
        self.step()

    def disk_after_crash(self, fd: int) -> bytes:
        whole = self.paths[fd].read_bytes()
        keep = self.synced[fd]
        pieces = [whole[:keep]]
        while keep < len(whole):
            size = min(self.rng.choice([1, 64, 512, 4096]), len(whole) - keep)
            fate = self.rng.choice(["kept", "kept", "nul", "cut"])
            if fate == "cut":
                break
            pieces.append(whole[keep : keep + size] if fate == "kept" else bytes(size))
            keep += size
        return b"".join(pieces)


@pytest.mark.parametrize("block", range(4))
def test_a_crash_that_loses_unsynced_data_loses_nothing_acknowledged(tmp_path, block):
    """150 seeded schedules a block, each with crashes during the recovery: every acknowledged record is there."""
    for seed in range(block * 150, block * 150 + 150):
        rng = random.Random(seed)
        path = tmp_path / f"{seed}" / "outcomes.jsonl"
        path.parent.mkdir()
        acknowledged: list[str] = []
        for life in range(3):
            files = Forgetful(rng, calls=rng.randrange(1, 40))
            try:
                with Journal(path, files=files) as stored:
                    for i in range(8):
                        batch = [
                            payload(1000 * life + 10 * i + j, rng.randrange(3000)) for j in range(rng.randrange(1, 4))
                        ]
                        stored.append(batch)
                        acknowledged += [json.loads(text)["key"] for text in batch]
            except Crash:
                journals = [fd for fd, name in files.paths.items() if name == path]
                if journals:
                    path.write_bytes(files.disk_after_crash(journals[0]))
            assert set(acknowledged) <= set(keys(path)), f"seed {seed}, life {life}"


def test_acknowledging_before_the_sync_would_be_seen(tmp_path, monkeypatch):
    """The schedules above can fail: with a journal that does not sync, some of them lose acknowledged records."""
    monkeypatch.setattr(Forgetful, "fsync", lambda self, fd: self.step())
    with pytest.raises(AssertionError, match="seed"):
        test_a_crash_that_loses_unsynced_data_loses_nothing_acknowledged(tmp_path, 0)


WRITER = """
import json, sys, time
from pathlib import Path
from kexue_bench.store.journal import Journal
with Journal(Path(sys.argv[1])) as stored:
    print("locked", flush=True)
    for i in range(200):
        stored.append([json.dumps({"key": f"{i}", "text": "x" * 60_000})])
        print(i, flush=True)
    time.sleep(60)
"""


def start_writer(path: Path) -> subprocess.Popen:
    """Another process that appends 12 MB, says what is acknowledged, and waits to be killed."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_killed_writer_loses_nothing_and_leaves_no_lock(path):
    """SIGKILL in the middle of large appends, again and again: what it said is there, and the next starts at once."""
    rng = random.Random(1)
    for _ in range(3):
        process = start_writer(path)
        time.sleep(rng.uniform(0.02, 0.05))
        process.send_signal(signal.SIGKILL)
        said = [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
        found = {int(key) for key in keys(path)}
        assert set(said) <= found


def test_a_second_writer_is_refused_at_once_and_told_who_holds_the_run(path):
    """Two processes cannot write one run; the message names the process and the machine, and no work is done."""
    process = start_writer(path)
    begin = time.monotonic()
    with pytest.raises(ResultsError, match="another process") as caught:
        Journal(path)
    elapsed = time.monotonic() - begin
    process.kill()
    process.wait()
    process.stdout.close()
    assert elapsed < 1
    assert f"process {process.pid} on {socket.gethostname()}" in str(caught.value)


def test_readers_see_a_prefix_while_a_writer_works(path):
    """A reader beside a writer never fails and never sees fewer records than before."""
    process = start_writer(path)
    seen = [len(read(path).records) for _ in range(40)]
    process.kill()
    process.wait()
    process.stdout.close()
    assert seen == sorted(seen)


def test_a_closed_run_names_no_machine(path):
    """A published folder keeps neither host nor process."""
    write(path, 1)
    assert (path.parent / journal.LOCK_NAME).read_bytes() == b""


def test_a_file_system_without_locks_is_used_with_a_note(path):
    """Some network file systems refuse locks: the run goes on, and the user is told."""

    class NoLocks(NoSync):
        def lock(self, fd):
            return False

    with Journal(path, files=NoLocks()) as stored:
        assert "no locks" in stored.notes[0]
        stored.append([payload(0)])
    assert keys(path) == ["case-0000"]
