"""Kills the real command with SIGKILL at random moments, resumes it, kills it again, and judges what is stored.

    python tests/faults/kills.py FOLDER --seed 1 --kills 1000 --minutes 60 [--engine ray]

A trial is two runs side by side in one results folder, each of one of three small plans (evaluate, timing, tuning),
each killed up to ten times before it may end. Every trial follows from the seed and its number, and is one line of
`FOLDER/trials-ENGINE-SEED.jsonl` when it is over, so that the study goes on where it was ended. Its figures are printed
as one JSON object:

    kills: drivers killed before they ended
    told: outcomes reported by any driver, killed ones included
    lost: reported outcomes that are not stored
    blamed: outcomes whose status is neither that of an undisturbed run nor `lost`, which is run again at once
    different: outcomes that differ from those of an undisturbed run in any bit (of timings: in anything but times)
    twice: cases with two results, except timings, whose rounds belong together
    orphans: processes alive five seconds after the last driver
    litter: temporary files and folders left after the last driver
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from kexue_bench.api import Outcome
from kexue_bench.store import codec
from kexue_bench.store.folder import read_head
from kexue_bench.store.results import Run, list_runs, load_run

TASK = "bernoulli-toy[bits=20,t=0.499]"
PLANS = {
    "evaluate": ("-m", "rloo", "-m", "disarm", "-m", "arm", "--stage", "evaluate"),
    "timing": ("-m", "rloo", "-m", "disarm", "--stage", "time", "--processes", "2"),
    "tuning": ("-m", "rebar", "-m", "rloo", "--stage", "evaluate", "--tune", "2"),
}
FIGURES = ("kills", "told", "lost", "blamed", "different", "twice", "orphans", "litter")
WITNESS = Path(__file__).with_name("witness.py")
MARK = "KEXUE_BENCH_TOLD"
LIMIT = 900.0
"""Seconds after which a driver that is not killed counts as hanging."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all trials share.

    Args:
        engine: `local` or `ray`.
        golden: plan -> key -> what an undisturbed run stored.
        seconds: plan -> seconds that the undisturbed run took.
    """

    engine: str
    golden: Mapping[str, Mapping[str, Outcome]]
    seconds: Mapping[str, float]


def start(plan: str, engine: str, folder: Path, told: Path, resume: Path | None = None) -> subprocess.Popen[bytes]:
    """A driver in a process of its own."""
    command = [sys.executable, "-m", "kexue_bench", "run", "gradients", "-t", TASK, *PLANS[plan]]
    command += ["--budget", "4096", "-j", "1", "-p", str(WITNESS), "--engine", engine, "-o", str(folder / "results")]
    command += [f"--resume={resume}"] if resume is not None else []
    (folder / "tmp").mkdir(exist_ok=True)
    # Ray puts sockets below its temporary folder, whose paths must be short.
    place = {} if engine == "ray" else {"TMPDIR": str(folder / "tmp")}
    environment = os.environ | {MARK: str(told), "PYTHONDONTWRITEBYTECODE": "1"} | place
    with told.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def stored(folder: Path, keys: set[str]) -> Path | None:
    """The run folder of the plan with these keys."""
    for info in list_runs(folder / "results"):
        if set(read_head(info.path).plan.by_key) == keys:
            return info.path
    return None


def undisturbed(plan: str, engine: str, folder: Path) -> tuple[dict[str, Outcome], float]:
    """What a run stores that nothing disturbs, and how long it takes."""
    folder.mkdir(parents=True)
    begun = time.monotonic()
    if code := start(plan, engine, folder, folder / "told").wait(LIMIT):
        raise SystemExit(f"the undisturbed run of {plan} ended with {code}: {(folder / 'told.log').read_text()}")
    seconds = time.monotonic() - begun
    return dict(load_run(list_runs(folder / "results")[-1].path).outcomes), seconds


def disturb(plan: str, setting: Setting, folder: Path, told: Path, rng: random.Random) -> int:
    """Run a plan to its end, in spite of two to ten attempts to kill it; returns the number of kills."""
    kills, keys = 0, set(setting.golden[plan])
    for _ in range(rng.randint(2, 10)):
        driver = start(plan, setting.engine, folder, told, stored(folder, keys))
        try:
            driver.wait(rng.uniform(0, setting.seconds[plan]))
        except subprocess.TimeoutExpired:
            driver.kill()
            kills += 1
        driver.wait()
    code = start(plan, setting.engine, folder, told, stored(folder, keys)).wait(LIMIT)
    if code:
        raise SystemExit(f"{plan} ended with {code} after {kills} kills: {told.with_suffix('.log').read_text()}")
    return kills


def judge(plan: str, setting: Setting, folder: Path, told: Path) -> Counter[str]:
    """Compare what is stored with what was told and with an undisturbed run."""
    golden = setting.golden[plan]
    run = load_run(stored(folder, set(golden)) or folder)
    reported: set[tuple[str, str]] = {(key, attempt) for key, attempt in map(str.split, told.read_text().splitlines())}
    kept = {(outcome.key, str(outcome.attempt)) for outcome in run.ledger}
    kept |= {(outcome.key, str(outcome.attempt)) for outcome in run.plan.settled}
    results = Counter(outcome.key for outcome in run.ledger if outcome.status == "ok")
    timed = {key for key, case in run.plan.by_key.items() if case.stage == "time"}
    return Counter(
        told=len(reported),
        lost=len(reported - kept) + len(set(golden) - set(run.outcomes)),
        blamed=sum(outcome.status not in {golden[outcome.key].status, "lost"} for outcome in run.ledger),
        different=sum(_numbers(run, key) != _numbers(replace(run, outcomes=golden), key) for key in golden)
        + sum("different outcomes" in note for note in run.notes),
        twice=sum(count > 1 for key, count in results.items() if key not in timed),
    )


def _numbers(run: Run, key: str) -> str:
    """Everything of an outcome that must repeat."""
    outcome, case = run.outcomes[key], run.plan.by_key[key]
    if case.stage == "time":
        return codec.dumps([outcome.status, [(m.metric, m.unit, m.replicate) for m in outcome.measurements]])
    return codec.dumps([outcome.status, outcome.measurements, outcome.chosen, outcome.stop, outcome.fingerprint])


def alive(folder: Path) -> int:
    """Number of processes of this trial that live five seconds after the last driver."""
    end = time.monotonic() + 5
    while True:
        found = [process for process in psutil.process_iter(["environ"]) if _is_of(process, folder)]
        if not found or time.monotonic() > end:
            return len(found)
        time.sleep(0.2)


def _is_of(process: psutil.Process, folder: Path) -> bool:
    told = (process.info["environ"] or {}).get(MARK, "")
    return told.startswith(f"{folder}/") and process.status() != psutil.STATUS_ZOMBIE


def trial(number: int, seed: int, setting: Setting, root: Path) -> dict[str, int]:
    """Two disturbed runs side by side, judged."""
    rng = random.Random(f"{seed}/{number}")
    with tempfile.TemporaryDirectory(dir=root, prefix=f"trial-{number}-") as name:
        folder = Path(name)
        plans = rng.sample(sorted(PLANS), 2)
        streams = [random.Random(rng.random()) for _ in plans]
        told = [folder / f"told-{plan}" for plan in plans]
        with ThreadPoolExecutor(2) as pool:
            running = [
                pool.submit(disturb, plan, setting, folder, file, stream)
                for plan, file, stream in zip(plans, told, streams, strict=True)
            ]
            kills = sum(future.result() for future in running)
        figures = Counter(kills=kills, orphans=alive(folder))
        for plan, file in zip(plans, told, strict=True):
            figures.update(judge(plan, setting, folder, file))
        if setting.engine == "local":
            # Where torch compiles, which is for all processes of a user.
            figures["litter"] = sum(not path.name.startswith("torchinductor_") for path in (folder / "tmp").iterdir())
        return {name: figures[name] for name in FIGURES}


def study(root: Path, *, seed: int, kills: int, minutes: float, engine: str = "local") -> dict[str, object]:
    """Trials until there were so many kills, or the time is over; earlier trials of the folder count."""
    end = time.monotonic() + 60 * minutes
    root.mkdir(parents=True, exist_ok=True)
    record = root / f"trials-{engine}-{seed}.jsonl"
    lines = record.read_text().splitlines() if record.exists() else []
    total = Counter[str]()
    for line in lines:
        total.update(json.loads(line))
    trials = len(lines)
    if total["kills"] < kills:
        with tempfile.TemporaryDirectory(dir=root, prefix="golden-") as name:
            whole = {plan: undisturbed(plan, engine, Path(name) / plan) for plan in PLANS}
        setting = Setting(
            engine=engine,
            golden={plan: outcomes for plan, (outcomes, _) in whole.items()},
            seconds={plan: seconds for plan, (_, seconds) in whole.items()},
        )
        # One trial at least, so that every call adds to the study.
        while total["kills"] < kills and (trials == len(lines) or time.monotonic() < end):
            figures = trial(trials, seed, setting, root)
            total.update(figures)
            trials += 1
            with record.open("a") as stream:
                stream.write(json.dumps(figures) + "\n")
    return {"engine": engine, "seed": seed, "trials": trials, **{name: total[name] for name in FIGURES}}


def main() -> None:
    """The figures of a study, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    args = parser.parse_args()
    found = study(args.folder, seed=args.seed, kills=args.kills, minutes=args.minutes, engine=args.engine)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
