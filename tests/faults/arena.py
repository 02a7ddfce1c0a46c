"""Kills drivers: real runner, journal and folder, with an engine of threads whose cases need no torch.

A process of its own, since it forks: `python arena.py KIND COUNT SEED FOLDER SECONDS` prints one JSON object of figures
of at least COUNT trials, and of as many more as SECONDS allow.
`random` kills with SIGKILL at random moments, a third of the resumed drivers too; `points` kills before and after every
call that reaches the disk.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import struct
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.files import Files
from kexue_bench.run.engines import Delivery
from kexue_bench.run.runner import run
from kexue_bench.store import codec
from kexue_bench.store.results import Run, RunWriter, list_runs, load_run

FINGERPRINT = "f0"


def plan_of(count: int) -> Plan:
    """Cases of a family that exists here only."""
    task = Instance(name="task", target="arena:Task", label="task")
    cases = (
        Case(
            family="arena",
            task=task,
            task_version=1,
            method=Instance(name="method", target="arena:Method", label="method", params={"n": i}),
            stage="evaluate",
        )
        for i in range(count)
    )
    return Plan(jobs=tuple(Job(cases=(case,)) for case in cases))


def outcome_of(case: Case) -> Outcome:
    """Numbers that depend on the case alone."""
    digest = hashlib.sha256(case.key.encode()).digest()
    values = [struct.unpack_from("<H", digest, i)[0] / 7 for i in range(0, 16, 2)]
    rows = tuple(Measurement(metric=f"m{i}", value=value) for i, value in enumerate(values))
    return Outcome(key=case.key, status="ok", measurements=rows, fingerprint=FINGERPRINT)


class Engine:
    """Two threads."""

    capacity = 2

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)

    def start(self) -> None:
        """Nothing to warm up."""

    def submit(self, text: str, **_: object) -> Future[Delivery]:
        """Answer after a moment."""
        return self._pool.submit(self._answer, json.loads(text))

    @staticmethod
    def _answer(request: dict) -> Delivery:
        if request["kind"] == "resolve":
            return Delivery(status="ok", text=codec.seal({"refused": [], "broken": []}))
        time.sleep(0.0005)
        job = codec.decode(Job, request["job"])
        return Delivery(status="ok", text=codec.seal({"outcomes": [outcome_of(case) for case in job.cases]}))

    def stop(self) -> None:
        """Never asked for here."""

    close = stop


class Witness:
    """Writes the key of every outcome that was told to a file, as a user would have read it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def started(self, plan: Plan) -> None:
        """Not of interest."""

    def finished(self, outcome: Outcome, case: Case) -> None:
        """Told."""
        os.write(self._fd, f"{case.key}\n".encode())

    def done(self, path: str) -> None:
        """Not of interest."""


class Deadly(Files):
    """Kills its own process at the n-th call, before or after the call takes effect."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._left, self._after, self.calls = at, after, 0

    def _count(self, call, *arguments):
        self.calls += 1
        self._left -= 1
        if self._left == 0 and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def open(self, path, flags):
        return self._count(super().open, path, flags)

    def write(self, fd, data):
        return self._count(super().write, fd, data)

    def fsync(self, fd):
        return self._count(super().fsync, fd)

    def replace(self, source, target):
        return self._count(super().replace, source, target)

    def fsync_dir(self, path):
        return self._count(super().fsync_dir, path)


def drive(root: Path, plan: Plan, files: Files) -> None:
    """One driver: begins a run, or goes on with the one that is there."""
    runs = list_runs(root)
    previous: dict[str, Outcome] = {}
    if runs:
        previous = dict(load_run(runs[-1].path).outcomes)

    def open_writer() -> RunWriter:
        if runs:
            return RunWriter.open(runs[-1].path, files=files)
        return RunWriter.create(root, name="arena", plan=plan, environment={}, files=files)

    run(
        plan,
        engine=Engine(),
        open_writer=open_writer,
        previous=previous,
        fingerprints=dict.fromkeys(plan.by_key, FINGERPRINT),
        observer=Witness(root / "told"),
    )


def forked(root: Path, plan: Plan, files: Files, *, kill_after: float | None = None) -> bool:
    """Drive in a child; True when it came to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            drive(root, plan, files)
        except BaseException as error:  # noqa: BLE001  # the parent must see it, whatever it is
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a driver failed with {os.WEXITSTATUS(status)}")
    return os.WIFEXITED(status)


def judge(root: Path, plan: Plan, expected: dict[str, str], figures: dict[str, int]) -> None:
    """Compare what is on the disk with what was told and with an uninterrupted run."""
    told = {line for line in (root / "told").read_text().split("\n") if len(line) == 16}
    stored: Run = load_run(list_runs(root)[-1].path)
    figures["acked"] += len(told)
    figures["lost"] += len(told - set(stored.outcomes))
    figures["unaccounted"] += len(plan.cases) - len(stored.outcomes)
    figures["duplicated"] += len(stored.ledger) - len({outcome.key for outcome in stored.ledger})
    figures["different"] += sum(codec.dumps(stored.outcomes[key]) != text for key, text in expected.items())
    figures["torn"] += len(list(root.glob("*/outcomes.torn-*")))


def main(kind: str, count: int, seed: int, folder: Path, seconds: float) -> dict[str, int]:
    rng = random.Random(seed)
    plan = plan_of(200 if kind == "random" else 6)
    (folder / "golden").mkdir()
    counter = Deadly(0, after=True)
    begun = time.monotonic()
    drive(folder / "golden", plan, counter)
    whole = time.monotonic() - begun
    golden = load_run(list_runs(folder / "golden")[-1].path)
    expected = {key: codec.dumps(outcome) for key, outcome in golden.outcomes.items()}
    figures = dict.fromkeys(("trials", "kills", "acked", "lost", "duplicated", "different", "unaccounted", "torn"), 0)
    trials = count if kind == "random" else 2 * counter.calls
    end = time.monotonic() + seconds
    for trial in itertools.count():
        if trial >= trials and time.monotonic() >= end:
            break
        figures["trials"] += 1
        root = folder / str(trial)
        root.mkdir()
        if kind == "random":
            figures["kills"] += not forked(root, plan, Files(), kill_after=rng.uniform(0, whole))
            if rng.random() < 1 / 3:
                figures["kills"] += not forked(root, plan, Files(), kill_after=rng.uniform(0, whole))
        else:
            at = 1 + trial // 2
            figures["kills"] += not forked(root, plan, Deadly(at, after=bool(trial % 2)))
            # The resumed driver is killed as well, as deep into its own recovery.
            figures["kills"] += not forked(root, plan, Deadly(1 + at // 3, after=not trial % 2))
        forked(root, plan, Files())
        judge(root, plan, expected, figures)
        shutil.rmtree(root)
    return figures


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), float(sys.argv[5])))
    )
