"""Stored runs: find, list, read and write `results/<NNNN>-<utc>-<name>/`.

`run.json` holds the request, `outcomes.jsonl` the outcomes. A run is written by one process and read as data: JSON and
nothing else. Reading never fails on a damaged journal; unreadable lines are counted in `Run.notes`.
"""

from __future__ import annotations

import gc
import json
import re
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from ..api import STATUSES, Case, Outcome, Plan
from ..errors import ResultsError, UnknownNameError, UsageError
from ..files import OS_FILES, Files, reason_of
from . import codec, journal
from .details import DETAILS, write_once
from .folder import JOURNAL_FILE, RUN_FILE, Head, make_folder, parse_name, read_head
from .sources import SOURCES, read_text

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_ROOT = Path("results")


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The parts of the name of a run folder; its content is read on demand.

    Args:
        created: UTC, `20261122T071500Z`.
    """

    path: Path
    number: int
    name: str
    created: str

    @property
    def planned(self) -> int:
        """Number of planned cases; 0 if `run.json` cannot be read."""
        return self._counts[0]

    @property
    def outcomes(self) -> int:
        """Number of cases with an outcome, those settled without running included."""
        return self._counts[1]

    @cached_property
    def _counts(self) -> tuple[int, int]:
        try:
            run = load_run(self.path)
        except ResultsError:
            return 0, 0
        return len(run.plan.cases), len(run.outcomes)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stored run.

    Args:
        path: its folder.
        number: the number in the name of its folder; 0 for a folder with a different name.
        name: name of the run.
        plan: the whole plan.
        environment: the machine and its software.
        command: the command that made it; empty if it was made from Python.
        outcomes: key -> outcome of the last attempt, in the order of the plan, settled cases included.
        ledger: every stored outcome of every attempt, in the order of writing.
        notes: remarks for readers: damaged lines, conflicts, cases without an outcome.
    """

    path: Path
    number: int = 0
    name: str = ""
    plan: Plan
    environment: Mapping[str, object]
    command: tuple[str, ...] = ()
    outcomes: Mapping[str, Outcome]
    ledger: tuple[Outcome, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def missing(self) -> tuple[Case, ...]:
        """Planned cases without a stored outcome: the run was interrupted, or is still running."""
        return tuple(case for key, case in self.plan.by_key.items() if key not in self.outcomes)

    def to_frame(self) -> pd.DataFrame:
        """One row for each measurement, in the order of the plan.

        The columns are `run key family task task_params method method_params stage claim replicate copy labels device
        dtype threads metric value ci_low ci_high n unit flags status reason step seconds`.

        `task_params`, `method_params` and `labels` are JSON objects as text with sorted keys, `flags` words separated
        by blanks. `value`, `ci_low`, `ci_high` are float64 with NaN for missing values; `replicate` and `step` are
        nullable integers. A case without a measurement has one row with an empty `metric` and `n` 0. `seconds` is given
        for points of a curve: `step` times the median measured `time` of the same method on the same task.
        """
        from .frame import to_frame

        return to_frame((self,))


# -- finding and reading ----------------------------------------------------------------------------------------------


def list_runs(root: Path = DEFAULT_ROOT) -> tuple[RunInfo, ...]:
    """The runs below `root`, oldest first (by the times in their names, then by number); a missing `root` holds none.

    Raises:
        ResultsError: `root` cannot be read.
    """
    found: list[RunInfo] = []
    try:
        for path in root.iterdir():
            # A link would show, and `--resume` would continue, a run somewhere else.
            if (parsed := parse_name(path)) and not path.is_symlink() and (path / RUN_FILE).is_file():
                number, created, name = parsed
                found.append(RunInfo(path=path, number=number, name=name, created=created))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ResultsError(f"the results folder {str(root)!r} cannot be read", got=reason_of(error)) from error
    return tuple(sorted(found, key=lambda info: (info.created, info.number, info.name)))


def find_run(ref: str | Path, root: Path = DEFAULT_ROOT) -> Path:
    """The folder that `ref` refers to: `0003` or `3`, `latest`, `latest~1`, the name of a folder, or a path.

    Raises:
        UsageError: no such run, or two runs with this number.
        ResultsError: the path exists and is not a run folder.
    """
    text = str(ref)
    if isinstance(ref, str) and re.fullmatch("[0-9]{1,9}", text):
        runs = list_runs(root)
        same = [info for info in runs if info.number == int(text)]
        if len(same) > 1:
            names = " and ".join(info.path.name for info in same)
            raise UsageError(f"two runs have the number {text}", got=names, do="name one by its path")
        if not same:
            raise _unknown(text, runs, root)
        return same[0].path
    if isinstance(ref, str) and (match := re.fullmatch(r"latest(?:~([0-9]{1,9}))?", text)):
        runs, back = list_runs(root), int(match[1] or 0)
        if back >= len(runs):
            raise _unknown(text, runs, root)
        return runs[-1 - back].path
    for path in (Path(ref), root / ref):
        try:
            if (path / RUN_FILE).is_file():
                return path
            if path.name in {RUN_FILE, JOURNAL_FILE} and (path.parent / RUN_FILE).is_file():
                return path.parent
            if path.is_dir():
                raise ResultsError(
                    f"{str(path)!r} is not a stored run: it has no {RUN_FILE}", do="see `kexue-bench list runs`"
                )
        except (OSError, ValueError):  # a name that no file can have
            break
    raise _unknown(text, list_runs(root), root)


def load_run(ref: str | Path, root: Path = DEFAULT_ROOT) -> Run:
    """Read a run; `ref` as in `find_run`.

    Raises:
        UsageError: no such run.
        ResultsError: `run.json` is damaged, not ours or of a newer version, or a file cannot be read. Damage inside the
            journal is never an error: it is counted in `notes`.
    """
    path = find_run(ref, root)
    parsed = parse_name(path.absolute())
    with _collection_paused():
        head = read_head(path)
        known = head.plan.by_key
        intake = _Intake(known)
        stored = journal.read(path / JOURNAL_FILE, keep=intake)
        winners, ledger, conflicts = _settle(sorted(stored.records, key=itemgetter(0)))
    found = {outcome.key: outcome for outcome in head.plan.settled} | winners
    outcomes = {key: found[key] for key in known if key in found}
    notes = _journal_notes(stored)
    if intake.unfit:
        what = "intact but not an outcome of this version"
        notes.append(f"{JOURNAL_FILE}: {_lines(intake.unfit, intake.first_unfit)} {what}")
    if conflicts:
        notes.append(f"{conflicts} cases have different outcomes for one attempt; the first counts")
    if intake.unplanned:
        notes.append(f"{intake.unplanned} outcomes do not belong to a planned case and are left out")
    if len(outcomes) < len(known):
        notes.append(f"{len(known) - len(outcomes)} of {len(known)} planned cases have no outcome")
    return Run(
        path=path,
        number=parsed[0] if parsed else 0,
        name=head.name,
        plan=head.plan,
        environment=head.environment,
        command=head.command,
        outcomes=MappingProxyType(outcomes),
        ledger=ledger,
        notes=tuple(notes),
    )


def schema(name: str) -> Mapping[str, object]:
    """The JSON Schema of `run` (run.json), `outcome` (one line of the journal) or `rows` (`--format json`)."""
    file = resources.files("kexue_bench.store").joinpath("schemas", f"{name}.schema.json")
    found = json.loads(file.read_text(encoding="utf-8"))
    if name == "outcome":
        # Statuses are written down once, in their table.
        found["$defs"]["outcome"]["properties"]["status"]["enum"] = list(STATUSES)
    return found


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Turn the cycle collector off, which would scan everything read so far again and again: half of the time.

    The data read has no cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Intake:
    """Turns records into outcomes with their sequence numbers, and counts what it leaves out.

    Attributes:
        unfit: number of records that are not outcomes of this version.
        first_unfit: the lines of the first of them.
        unplanned: number of outcomes of cases that are not planned.
    """

    def __init__(self, planned: Container[str]) -> None:
        self._planned = planned
        self.unfit, self.unplanned = 0, 0
        self.first_unfit: list[int] = []

    def __call__(self, record: journal.Record) -> tuple[int, Outcome] | None:
        try:
            outcome = codec.decode(Outcome, record.data)
        except codec.CodecError:
            self.unfit += 1
            if self.unfit <= journal.MAX_NOTES:
                self.first_unfit.append(record.line)
            return None
        if outcome.key not in self._planned:
            self.unplanned += 1
            return None
        return record.seq, outcome


def _settle(decoded: Iterable[tuple[int, Outcome]]) -> tuple[dict[str, Outcome], tuple[Outcome, ...], int]:
    """The outcome that counts for each key, all distinct outcomes, and the number of cases with conflicting ones."""
    attempts: dict[tuple[str, int], list[tuple[int, Outcome]]] = {}
    for seq, outcome in decoded:
        attempts.setdefault((outcome.key, outcome.attempt), []).append((seq, outcome))
    winners: dict[str, Outcome] = {}
    kept: list[tuple[int, Outcome]] = []
    conflicts: set[str] = set()
    for (key, _), same in sorted(attempts.items(), key=lambda item: item[0]):
        different: dict[str, tuple[int, Outcome]] = {}
        for seq, outcome in same:
            different.setdefault(codec.dumps(outcome) if len(same) > 1 else "", (seq, outcome))
        # Ties between equal numbers are broken by the text, not by the order of lines in the file.
        ranked = [different[text] for text in sorted(different, key=lambda text: (different[text][0], text))]
        if len(ranked) > 1:
            conflicts.add(key)
        winners[key] = ranked[0][1]
        kept.extend(ranked)
    kept.sort(key=lambda entry: entry[0])
    return winners, tuple(outcome for _, outcome in kept), len(conflicts)


def _journal_notes(stored: journal.Reading) -> list[str]:
    lines: dict[str, list[int]] = {}
    for note in stored.notes:
        lines.setdefault(note.kind, []).append(note.line)
    reading: dict[journal.NoteKind, str] = {
        "torn tail": "{} unfinished (a writer is running, or was killed) and ignored",
        "damaged": "{} damaged and ignored",
        "duplicate": "{} repeated",
        "newer schema": "{} written by a newer kexue-bench and ignored",
        "converted": "{} changed by an editor or a transfer, content intact",
    }
    return [
        f"{JOURNAL_FILE}: {reading[kind].format(_lines(count, lines[kind]))}"
        for kind, count in sorted(stored.counts.items())
    ]


def _lines(count: int, first: Sequence[int]) -> str:
    shown = ", ".join(map(str, first[:5])) + (", ..." if count > 5 else "")
    return f"{count} line{'s' if count > 1 else ''} ({shown})"


def _unknown(ref: str, runs: Sequence[RunInfo], root: Path) -> UsageError:
    if not runs:
        return UsageError(f"there is no run {ref!r}: {str(root)!r} has no runs", do="make one with `kexue-bench run`")
    latest = runs[-1]
    known = {f"{info.number:04}" for info in runs} | {info.path.name for info in runs} | {"latest"}
    return UnknownNameError("run", ref, known, hint=f"the latest is {latest.number:04} ({latest.name})")


# -- writing ----------------------------------------------------------------------------------------------------------


class RunWriter:
    """The one writer of the run folder `path`; made by `create` or `open`.

    Attributes:
        path: the folder.
        number: its number.
        notes: remarks for the user on this writer, as in `Journal.notes`.
    """

    def __init__(self, path: Path, *, files: Files = OS_FILES) -> None:
        self.path = path
        parsed = parse_name(path.absolute())
        self.number = parsed[0] if parsed else 0
        self._files = files
        self._journal = journal.Journal(path / JOURNAL_FILE, files=files)
        self.notes = self._journal.notes

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        name: str,
        plan: Plan,
        environment: Mapping[str, object],
        command: Sequence[str] = (),
        files: Files = OS_FILES,
    ) -> Self:
        """Make the next run folder below `root`, and `root` if missing.

        Raises:
            ResultsError: the folder cannot be written; nothing is left behind.
        """
        head = Head(name=name, plan=plan, environment=environment, command=tuple(command))
        try:
            path = make_folder(root, head, files)
        except OSError as error:
            raise ResultsError(
                f"the results folder {str(root)!r} cannot be written",
                got=reason_of(error),
                do="free disk space, fix the permissions, or choose another folder with --output",
            ) from error
        try:
            return cls(path, files=files)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path, *, files: Files = OS_FILES) -> Self:
        """Continue the run in the folder `path`.

        Raises:
            ResultsError: it is not a run folder of this version, another process writes to it, or it cannot be written.
        """
        read_head(path)
        return cls(path, files=files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def append(self, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
        """Store outcomes with one write and one fsync; on return they are on disk and may be reported.

        Returns:
            The stored outcomes; one too large for a line is replaced by `invalid` with the reason.

        Raises:
            ResultsError: the disk refused; see `Journal.append`.
        """
        stored: list[Outcome] = []
        payloads: list[str] = []
        for outcome in outcomes:
            payload, kept = codec.dumps(outcome), outcome
            if len(payload) > journal.MAX_PAYLOAD:
                kept = _too_large(outcome, len(payload))
                payload = codec.dumps(kept)
            stored.append(kept)
            payloads.append(payload)
        self._journal.append(payloads)
        return tuple(stored)

    def keep(self, kind: str, texts: Iterable[str]) -> None:
        """Store side files in the folder `kind` of the run; on return they are on disk.

        Raises:
            ResultsError: the disk refused, or a link is in place of the folder.
        """
        try:
            write_once(self.path / kind, texts, files=self._files)
        except OSError as error:
            raise ResultsError(
                f"a file in {str(self.path / kind)!r} cannot be written",
                got=reason_of(error),
                do="free disk space and start again with --resume",
            ) from error

    def adopt(self, folder: Path, outcomes: Iterable[Outcome]) -> None:
        """Copy the side files of outcomes of the run in `folder`; those that are missing or damaged there stay away.

        Raises:
            ResultsError: see `keep`.
        """
        given = tuple(outcomes)
        named = {
            DETAILS: {digest for outcome in given for digest in outcome.details.values()},
            SOURCES: {outcome.sources for outcome in given if outcome.sources},
        }
        for kind, digests in named.items():
            texts = (read_text(folder / kind, digest) for digest in sorted(digests))
            self.keep(kind, (text for text in texts if text is not None))

    def close(self) -> None:
        """Release the lock, so that other processes may write."""
        self._journal.close()


def _too_large(outcome: Outcome, size: int) -> Outcome:
    reason = (
        f"{len(outcome.measurements)} measurements take {size} bytes, the limit per outcome is {journal.MAX_PAYLOAD}; "
        "record summaries and store vectors as details"
    )
    return Outcome(
        key=outcome.key,
        attempt=outcome.attempt,
        status="invalid",
        phase=outcome.phase,
        reason=reason,
        seconds=outcome.seconds,
        fingerprint=outcome.fingerprint,
    )
