"""The folder of a run: its name, its number, and `run.json`, which holds the request.

The folder is prepared under a hidden name and renamed, so that it appears complete or not at all.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..api import SCHEMA, Plan
from ..errors import ResultsError
from ..files import Files, open_plain, reason_of, write_atomic
from . import codec

RUN_FILE = "run.json"
JOURNAL_FILE = "outcomes.jsonl"
_LAST = 999_999_999
MAX_RUN_FILE = 256 << 20

_NAME = re.compile(r"([0-9]{4,9})-([0-9]{8}T[0-9]{6}Z)-([a-z0-9][a-z0-9-]*)")
_BOM = b"\xef\xbb\xbf"
_SEAL = re.compile(rb'\{"crc":"([0-9a-f]{8})",')
_SCHEMA = re.compile(r"kexue-bench/([1-9][0-9]{0,8})")


@dataclass(frozen=True, kw_only=True)
class Head:
    """Content of `run.json`: written once, before the first case.

    Args:
        name: name of the run.
        plan: the whole plan, with the request that made it.
        environment: the machine and its software.
        command: the command that made it; empty if it was made from Python.
    """

    name: str
    plan: Plan
    environment: Mapping[str, object]
    command: tuple[str, ...] = ()


def parse_name(path: Path) -> tuple[int, str, str] | None:
    """Number, UTC stamp and name in the name of a run folder; None for a folder with a different name."""
    match = _NAME.fullmatch(path.name)
    return (int(match[1]), match[2], match[3]) if match else None


def make_folder(root: Path, head: Head, files: Files) -> Path:
    """Make the next run folder below `root`, and `root` if missing, with its `run.json`.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    document = {
        "schema": SCHEMA,
        "name": head.name,
        "command": head.command,
        "environment": head.environment,
        "plan": head.plan,
    }
    draft = root / f".new-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        write_atomic(draft / RUN_FILE, _sealed(codec.dumps(document).encode("ascii")) + b"\n", files=files)
        path = _claim(draft, root, f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{_slug(head.name)}")
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    try:
        files.fsync_dir(root)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path


def read_head(path: Path) -> Head:
    """The content of `run.json` in the folder `path`.

    Raises:
        ResultsError: it cannot be read, is damaged, not ours, or of a newer version.
    """
    file = path / RUN_FILE
    try:
        with os.fdopen(open_plain(file), "rb") as stream:
            if (size := os.fstat(stream.fileno()).st_size) > MAX_RUN_FILE:
                raise ResultsError(f"{str(file)!r} is too large for a run", got=f"{size} bytes")
            data = codec.loads(_unsealed(stream.read(size)))
        if not isinstance(data, dict) or not (version := _SCHEMA.fullmatch(str(data.get("schema")))):
            raise ResultsError(f"{str(file)!r} was not written by kexue-bench")
        if int(version[1]) > int(SCHEMA.rpartition("/")[2]):
            raise ResultsError(
                f"{str(file)!r} was written by a newer kexue-bench",
                got=f"schema {version[0]}, this program reads {SCHEMA}",
                do="upgrade kexue-bench to read it",
            )
        return codec.decode(
            Head, {key: value for key, value in data.items() if key not in {"schema", "crc"}}, where="run"
        )
    except OSError as error:
        raise ResultsError(f"{str(file)!r} cannot be read", got=reason_of(error)) from error
    except ValueError as error:
        raise ResultsError(f"{str(file)!r} is damaged", got=str(error)) from error


def _sealed(document: bytes) -> bytes:
    """A JSON object with its CRC-32 in front, over everything after its own comma, as in a line of the journal."""
    body = document[1:]
    return b'{"crc":"%08x",%s' % (zlib.crc32(body), body)


def _unsealed(content: bytes) -> bytes:
    """The document in ASCII, checked; a file of an earlier version has no checksum.

    Raises:
        ValueError: it is damaged.
    """
    document = content.removeprefix(_BOM).rstrip(b" \t\r\n")
    if not document.isascii():
        raise ValueError("it has bytes that are not ASCII")
    seal = _SEAL.match(document)
    if seal is None and b'"crc":' in document[:80]:
        raise ValueError("the checksum is damaged")
    if seal is not None and zlib.crc32(memoryview(document)[seal.end() :]) != int(seal[1], 16):
        raise ValueError("the checksum does not match the content")
    codec.check_weight(document)
    return document


def _claim(draft: Path, root: Path, suffix: str) -> Path:
    """Rename `draft` to the next free number.

    Two processes may take one number under different names. Each checks again after its rename, so at least one of them
    sees the other; a process that sees another takes the next number after a random delay.
    """
    path = draft
    for attempt in range(200):
        number = _next(_numbers(root, other_than=path))
        target = root / f"{number:04}-{suffix}"
        try:
            path = path.rename(target)
        except OSError:
            # A complete folder of this name already exists; the caller handles any other error.
            if not target.exists():
                raise
        else:
            if number not in _numbers(root, other_than=path):
                return path
        time.sleep(random.uniform(0, 0.002 * (attempt + 1)))  # noqa: S311 - spreads processes; not for security
    shutil.rmtree(path, ignore_errors=True)
    raise OSError("no free number was found while other runs were being made")


def _next(taken: Collection[int]) -> int:
    """The number after the highest; after a run with the last number of all, the next below it that is free."""
    return max((number for number in taken if number < _LAST and number + 1 not in taken), default=0) + 1


def _numbers(root: Path, *, other_than: Path) -> set[int]:
    parsed = (parse_name(path) for path in root.iterdir() if path.name != other_than.name)
    return {found[0] for found in parsed if found}


def _slug(name: str) -> str:
    """A file name of letters, digits and dashes for any name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "run"
