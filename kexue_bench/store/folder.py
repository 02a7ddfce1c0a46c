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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..api import SCHEMA, Plan
from ..errors import ResultsError
from ..files import Files, reason_of, write_atomic
from . import codec

RUN_FILE = "run.json"
JOURNAL_FILE = "outcomes.jsonl"
MAX_RUN_FILE = 256 << 20

_NAME = re.compile(r"([0-9]{4,9})-([0-9]{8}T[0-9]{6}Z)-([a-z0-9][a-z0-9-]*)")
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
        write_atomic(draft / RUN_FILE, codec.dumps(document).encode("ascii") + b"\n", files=files)
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
        size = file.stat().st_size
        if size > MAX_RUN_FILE:
            raise ResultsError(f"{str(file)!r} is too large for a run", got=f"{size} bytes")
        data = codec.loads(file.read_bytes())
        if not isinstance(data, dict) or not (version := _SCHEMA.fullmatch(str(data.get("schema")))):
            raise ResultsError(f"{str(file)!r} was not written by kexue-bench")
        if int(version[1]) > int(SCHEMA.rpartition("/")[2]):
            raise ResultsError(
                f"{str(file)!r} was written by a newer kexue-bench",
                got=f"schema {version[0]}, this program reads {SCHEMA}",
                do="upgrade kexue-bench to read it",
            )
        return codec.decode(Head, {key: value for key, value in data.items() if key != "schema"}, where="run")
    except OSError as error:
        raise ResultsError(f"{str(file)!r} cannot be read", got=reason_of(error)) from error
    except ValueError as error:
        raise ResultsError(f"{str(file)!r} is damaged", got=str(error)) from error


def _claim(draft: Path, root: Path, suffix: str) -> Path:
    """Rename `draft` to the next free number.

    Two processes may take one number under different names. Each checks again after its rename, so at least one of them
    sees the other; a process that sees another takes the next number after a random delay.
    """
    path = draft
    for attempt in range(200):
        number = max(_numbers(root, other_than=path), default=0) + 1
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


def _numbers(root: Path, *, other_than: Path) -> list[int]:
    parsed = (parse_name(path) for path in root.iterdir() if path.name != other_than.name)
    return [found[0] for found in parsed if found]


def _slug(name: str) -> str:
    """A file name of letters, digits and dashes for any name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "run"
