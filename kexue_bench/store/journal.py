"""The byte layer of a run: one append-only file of checked lines, one writer, any number of readers.

A line is ASCII JSON, `{"crc":"8 hex digits","v":1,"seq":N,"outcome":{...}}`; the CRC-32 covers everything after its own
comma, so a changed bit, a splice and a cut are detected. When `append` returns, its records are on disk. A reader never
raises on content: a bad line is counted and named, and good records inside a fused line are recovered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn, Self, cast

from ..errors import ResultsError
from ..files import OS_FILES, Files, open_plain, reason_of, write_all
from . import codec

VERSION = 1
MAX_LINE = 4 << 20
MAX_PAYLOAD = MAX_LINE - 256
MAX_NOTES = 100
"""Notes of one kind that a reading holds; further ones are only counted."""
LOCK_NAME = "run.lock"

_MARK = b'{"crc":"'
_HEAD = re.compile(rb'\{"crc":"([0-9a-f]{8})",')
_ENVELOPE = re.compile(rb'"v":([1-9][0-9]{0,8}),"seq":([1-9][0-9]{0,14}),')
_SKIP = 1 << 20
_LARGE = 1 << 17
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"

NoteKind = Literal["torn tail", "damaged", "duplicate", "newer schema", "converted"]


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One good line: its number in the file (from 1), its sequence number and its outcome as plain data."""

    line: int
    seq: int
    data: object


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A remark on a line that is not good."""

    kind: NoteKind
    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Content of a journal.

    Args:
        records: what was kept of each good record, in the order of the file.
        notes: on the other lines: the first `MAX_NOTES` of each kind.
        counts: how many notes of each kind there are.
    """

    records: tuple[Any, ...] = ()
    notes: tuple[Note, ...] = ()
    counts: Mapping[NoteKind, int] = field(default_factory=dict)


def read(path: Path, *, keep: Callable[[Record], object] = lambda record: record) -> Reading:
    """Read a journal, whatever its content; a file that does not exist is an empty journal.

    The memory in use is that of one line, of what `keep` returns, and of 100 bytes for each good record.

    Args:
        path: the file.
        keep: what to keep of a record; None drops it.

    Raises:
        ResultsError: the file cannot be opened or read at all, or is not a plain file.
    """
    intake = _Intake(keep)
    try:
        stream = os.fdopen(open_plain(path), "rb")
    except FileNotFoundError:
        return Reading()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        with stream:
            for number, raw, ended in _lines(stream):
                intake.take(number, raw, ended=ended)
    except OSError as error:
        raise _unreadable(path, error) from error
    return Reading(records=tuple(intake.records), notes=tuple(intake.notes), counts=intake.counts)


class _Intake:
    """What is kept of the lines read so far."""

    def __init__(self, keep: Callable[[Record], object]) -> None:
        self._keep = keep
        self._seen: set[bytes] = set()
        self.records: list[object] = []
        self.notes: list[Note] = []
        self.counts: Counter[NoteKind] = Counter()

    def take(self, number: int, raw: bytes, *, ended: bool) -> None:
        """A line, its number in the file, and whether a newline ended it."""
        line = raw.rstrip(_BLANK) if ended else raw
        line = line.removeprefix(_BOM) if number == 1 else line
        if not line:
            return
        if ended and len(raw) - len(line) > 1:
            self._remark(Note(kind="converted", line=number, text="blanks around the record"))
        if len(line) > MAX_LINE:
            self._remark(Note(kind="damaged", line=number, text=f"longer than {MAX_LINE} bytes"))
            return
        for found in _classify(line, number, ended):
            if isinstance(found, Note):
                self._remark(found)
                continue
            record, digest = found
            if digest in self._seen:
                self._remark(Note(kind="duplicate", line=number, text=f"repeats record {record.seq}"))
                continue
            self._seen.add(digest)
            if (kept := self._keep(record)) is not None:
                self.records.append(kept)

    def _remark(self, note: Note) -> None:
        self.counts[note.kind] += 1
        if self.counts[note.kind] <= MAX_NOTES:
            self.notes.append(note)


def _unreadable(path: Path, error: OSError) -> ResultsError:
    return ResultsError(f"the journal {str(path)!r} cannot be read", got=reason_of(error))


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and whether a newline ended them; bytes beyond `MAX_LINE` are skipped."""
    number = 0
    while raw := stream.readline(MAX_LINE + 3):
        number += 1
        ended = raw.endswith(b"\n")
        if not ended and len(raw) > MAX_LINE + 2:
            while (rest := stream.readline(_SKIP)) and not rest.endswith(b"\n"):
                pass
            ended = bool(rest)
        yield number, raw, ended


def _classify(line: bytes, number: int, ended: bool) -> Iterator[tuple[Record, bytes] | Note]:
    """Good records of one line, with their digests, and notes on the rest of it."""
    # Inside a record every quote of a text is escaped, so the mark occurs only at the start of a record.
    pieces = [line] if line.startswith(_MARK) and line.find(_MARK, 1) < 0 else _split(line)
    for piece in pieces:
        record = _parse(piece, number)
        if isinstance(record, Record):
            yield record, hashlib.blake2b(piece, digest_size=16).digest()
        elif isinstance(record, Note):
            yield record
        elif not ended and piece is pieces[-1]:
            yield Note(kind="torn tail", line=number, text=f"{len(piece)} bytes of an unfinished record")
        else:
            yield Note(kind="damaged", line=number, text=record)


def _split(line: bytes) -> list[bytes]:
    head, *tails = line.split(_MARK)
    return ([head] if head else []) + [_MARK + tail for tail in tails]


def _check(piece: bytes) -> tuple[int, int] | str:
    """Version and sequence number of an intact line, or what is wrong with it."""
    head = _HEAD.match(piece)
    if head is None:
        return "not a record of a journal"
    if zlib.crc32(memoryview(piece)[head.end() :]) != int(head[1], 16):
        return "the checksum does not match the content"
    envelope = _ENVELOPE.match(piece, head.end())
    if envelope is None:
        return "the checksum is right but the envelope was not written by kexue-bench"
    return int(envelope[1]), int(envelope[2])


def _parse(piece: bytes, number: int) -> Record | Note | str:
    checked = _check(piece)
    if isinstance(checked, str):
        return checked
    version, seq = checked
    if version > VERSION:
        return Note(kind="newer schema", line=number, text=f"version {version}, this program reads {VERSION}")
    try:
        if len(piece) > _LARGE:
            codec.check_weight(piece)
        text = piece.decode("ascii")
        data = cast("dict[str, object]", codec.loads(text) if '"$f"' in text else _DECODER.decode(text))
    except (ValueError, RecursionError):
        return "the checksum is right but the text is not strict JSON of a record"
    return Record(line=number, seq=seq, data=data.get("outcome"))


def _no_constant(token: str) -> NoReturn:
    raise ValueError(f"the token {token} is not JSON")


# The checksum already excludes accidents, so the fast scanner is enough if no number is tagged.
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


# -- writing ----------------------------------------------------------------------------------------------------------


class Journal:
    """The one writer of a journal. Opening takes the lock of the folder and seals a torn tail.

    Args:
        path: the file; created when missing. The lock is `run.lock` beside it.
        files: the calls that access the disk.

    Attributes:
        durable: the sequence number up to which everything is known to be on disk.
        notes: what a user should know about this writer (a sealed tail, a file system without locks).

    Raises:
        ResultsError: another process writes here, the folder cannot be written, or the journal is of a newer version.
    """

    def __init__(self, path: Path, *, files: Files = OS_FILES) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self._files = files
        self._stack = contextlib.ExitStack()
        self._dirty = False
        self._broken = ""
        try:
            with contextlib.ExitStack() as stack:
                self._take_lock(stack)
                self._fd = open_plain(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, files=files)
                stack.callback(os.close, self._fd)
                files.fsync_dir(path.parent)
                self.durable = self._seq = _last_seq(path)
                self._seal()
                self._stack = stack.pop_all()
        except OSError as error:
            raise ResultsError(
                f"the journal {str(path)!r} cannot be opened for writing",
                got=reason_of(error),
                do="free disk space, fix the permissions, or choose another folder with --output",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def append(self, payloads: Sequence[str]) -> int:
        """Append one line for each payload in one write, and return when they are on disk.

        Args:
            payloads: strict ASCII JSON, each at most `MAX_PAYLOAD` bytes.

        Returns:
            The sequence number of the last line.

        Raises:
            ResultsError: the disk refused; the message names the last durable record, the unstored records are in a
                rescue file, and every later append fails too: nothing is certain after a failed fsync.
        """
        if self._broken:
            raise ResultsError(self._broken, do="start again with --resume")
        if not payloads:
            return self.durable
        if (longest := max(map(len, payloads))) > MAX_PAYLOAD:
            raise ValueError(f"a payload may have at most {MAX_PAYLOAD} bytes, got {longest}")
        lines: list[bytes] = []
        for payload in payloads:
            self._seq += 1
            body = b'"v":%d,"seq":%d,"outcome":%s}' % (VERSION, self._seq, payload.encode("ascii"))
            lines.append(b'%s%08x",%s\n' % (_MARK, zlib.crc32(body), body))
        data = b"".join(lines)
        try:
            self._check_place()
            # An interrupt may have left half a line; a newline keeps it from corrupting the next one.
            text = b"\n" + data if self._dirty else data
            self._dirty = True
            write_all(self._files, self._fd, text)
            self._files.fsync(self._fd)
        except OSError as error:
            self._broken = f"the journal {str(self.path)!r} is on disk only up to record {self.durable}"
            raise ResultsError(self._broken, got=reason_of(error), do=_rescue(data)) from error
        self._dirty = False
        self.durable = self._seq
        return self.durable

    def close(self) -> None:
        """Release the lock; appended records are already on disk."""
        self._stack.close()

    def _check_place(self) -> None:
        here, there = os.fstat(self._fd), self.path.lstat()
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            raise OSError("the file was replaced while it was being written")

    def _take_lock(self, stack: contextlib.ExitStack) -> None:
        fd = open_plain(self.path.parent / LOCK_NAME, os.O_RDWR | os.O_CREAT, files=self._files)
        stack.callback(os.close, fd)
        try:
            locked = self._files.lock(fd)
        except BlockingIOError as error:
            holder = os.read(fd, 200).decode("utf-8", "replace").strip()
            raise ResultsError(
                f"another process is writing to the run {self.path.parent.name!r}",
                got=repr(holder) if holder else "",
                do="wait for it to end or stop it; the lock goes with the process",
            ) from error
        if not locked:
            self.notes += ("this file system has no locks: do not let a second process write here",)
            return
        # Only for the message above; emptied on close so that a published folder names no machine.
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        stack.callback(os.ftruncate, fd, 0)

    def _seal(self) -> None:
        """Copy a tail without newline to `outcomes.torn-N` and end it, so that it cannot corrupt the next line."""
        size = os.fstat(self._fd).st_size
        if size == 0 or _read_at(self._fd, 1, size - 1) == b"\n":
            return
        start = _tail_start(self._fd, size)
        copy_path, copy = self._new_file(f"{self.path.stem}.torn-{self._seq + 1}")
        try:
            for offset in range(start, size, _SKIP):
                write_all(self._files, copy, _read_at(self._fd, min(_SKIP, size - offset), offset))
            self._files.fsync(copy)
        finally:
            os.close(copy)
        self._files.fsync_dir(self.path.parent)
        write_all(self._files, self._fd, b"\n")
        self._files.fsync(self._fd)
        self.notes += (f"an unfinished last line of {size - start} bytes was set aside in {copy_path.name}",)

    def _new_file(self, name: str) -> tuple[Path, int]:
        for attempt in range(1000):
            path = self.path.parent / (name if attempt == 0 else f"{name}.{attempt}")
            with contextlib.suppress(FileExistsError):
                return path, self._files.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        raise OSError(f"too many files named {name}")


def _last_seq(path: Path) -> int:
    """The highest sequence number among intact lines, found without reading their JSON."""
    last = 0
    with os.fdopen(open_plain(path), "rb") as stream:
        for number, raw, _ in _lines(stream):
            for piece in _split(raw.rstrip(_BLANK)):
                checked = _check(piece)
                if isinstance(checked, str):
                    continue
                version, seq = checked
                if version > VERSION:
                    raise ResultsError(
                        f"the journal {str(path)!r} was written by a newer kexue-bench",
                        got=f"version {version} in line {number}",
                        do="upgrade to continue this run; reading it is still possible",
                    )
                last = max(last, seq)
    return last


def _tail_start(fd: int, size: int) -> int:
    """Offset just after the last newline."""
    end = size
    while end > 0:
        begin = max(0, end - _SKIP)
        found = _read_at(fd, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _read_at(fd: int, size: int, offset: int) -> bytes:
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, size)


def _rescue(data: bytes) -> str:
    """Write records that could not be stored to the temporary folder; returns where, or that this failed too."""
    try:
        fd, name = tempfile.mkstemp(prefix="kexue-bench-", suffix=".jsonl")
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
    except OSError:
        return "free disk space and start again with --resume; the unstored cases will run again"
    return f"free disk space and start again with --resume; unstored records are in {name}"
