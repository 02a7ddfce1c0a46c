"""Runs made by hand: plans and outcomes as the worker would store them, from numbers that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kexue_bench.analysis import comparison as analysis
from kexue_bench.analysis.published import Figure
from kexue_bench.analysis.stats import fold, mean_contrast
from kexue_bench.analysis.tables import Row, Table, Tabulation
from kexue_bench.api import (
    Case,
    FamilySpec,
    Instance,
    Job,
    Measurement,
    MetricSpec,
    Outcome,
    Plan,
    PublishedSpec,
    Series,
    TaskSpec,
)
from kexue_bench.catalog.metrics import CORE_METRICS, keyed

METRICS = keyed(
    (
        *CORE_METRICS,
        MetricSpec(name="evaluations", heading="evals", family="gradients"),
        MetricSpec(name="elbo", unit="nats", direction="higher", scale="linear", margin=0.1, family="gradients"),
    )
)
FAMILIES: Mapping[str, FamilySpec] = {
    "gradients": FamilySpec(
        name="gradients",
        title="Gradients through discrete variables",
        summary="",
        contract="kexue_gradients.contract:GradientMethod",
        precision_metric="mse",
        baseline="reinforce",
        headline=("mse", "bias", "variance", "work-variance", "time", "evaluations", "memory"),
        work="evaluations",
    )
}
TASKS: Mapping[tuple[str, str], TaskSpec] = {
    ("gradients", name): TaskSpec(
        name=name, family="gradients", target="x:Y", summary=summary, version=1, primary=primary, headline=headline
    )
    for name, summary, primary, headline in (
        ("toy", "f = mean of (b - t)^2 over the bits, exact gradient known", "", ()),
        ("vae", "8-bit Bernoulli latent on digits, exact ELBO", "elbo", ("elbo", "time", "memory")),
    )
}


def method(name: str, **params: float) -> Instance:
    """An instance labelled as tables print it."""
    inside = ",".join(f"{k}={v}" for k, v in params.items())
    return Instance(name=name, params=params, target="x:Z", label=f"{name}[{inside}]" if inside else name)


TOY = Instance(name="toy", params={"bits": 1}, target="x:Y", label="toy[bits=1]")
VAE = Instance(name="vae", params={}, target="x:Y", label="vae")
SOURCE = "A. Author, arXiv 0000.00000, Table 1"
BASE, RIVAL, THIRD = method("reinforce"), method("rloo", n=2), method("disarm")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What `compare` needs of a run."""

    path: Path
    plan: Plan
    outcomes: Mapping[str, Outcome]


@dataclass(kw_only=True)
class Book:
    """Collects cases and outcomes into a run."""

    baseline: Instance
    name: str = "0001-20261122T071500Z-gradients"
    cases: list[Case] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def case(self, task: Instance, of: Instance, *, stage="evaluate", **fields: object) -> Case:
        """Plan one case."""
        case = Case(family="gradients", task=task, task_version=1, method=of, stage=stage, **fields)
        self.cases.append(case)
        return case

    def outcome(self, case: Case, *measurements: Measurement, status="ok", **fields: object) -> None:
        """Store what became of it."""
        self.outcomes[case.key] = Outcome(key=case.key, status=status, measurements=measurements, **fields)

    def sampled(
        self,
        task: Instance,
        of: Instance,
        units: Sequence[float],
        *,
        evaluations: float = 1,
        bias: tuple[float, float, float] = (0.0, 0.0, 1e-6),
        stop: str = "precision",
        flags: frozenset[str] = frozenset(),
        seed: int = 0,
        fingerprint: str = "",
    ) -> None:
        """A sampling case whose batch means of |g - truth|^2 are `units`, a dyadic series."""
        case = self.case(task, of, seed=seed)
        found = mean_contrast(fold(units)) if len(units) > 1 else None
        low, high = found.interval() if found else (units[0], units[0])
        value = found.value if found else units[0]
        series = Series(kind="dyadic", values=tuple(units), batch=64) if found else None
        if stop == "exact":
            flags |= {"exact"}
        n = 64 * len(units) if found else 1
        mse = Measurement(metric="mse", value=value, low=low, high=high, n=n, flags=flags, series=series)
        square = bias[0] ** 2
        rows = [
            mse,
            Measurement(metric="bias", value=bias[0], low=bias[1], high=bias[2], n=n, flags=flags),
            Measurement(metric="variance", value=max(value - square, 0), low=max(low - square, 0), high=high, n=n),
            Measurement(metric="evaluations", value=evaluations, flags=frozenset({"exact"})),
            Measurement(metric="memory", value=4096 * evaluations, unit="B", flags=frozenset({"exact"})),
            replace(
                mse,
                metric="work-variance",
                value=value * evaluations,
                low=low * evaluations,
                high=high * evaluations,
                series=series and replace(series, values=tuple(v * evaluations for v in units)),
            ),
        ]
        cost = {"evaluations": evaluations, "memory": 4096 * evaluations}
        self.outcome(case, *rows, cost=cost, stop=stop, fingerprint=fingerprint)

    def timed(self, task: Instance, methods: Sequence[Instance], seconds: np.ndarray, *, copy: bool = True) -> None:
        """A timing group: seconds `[methods (+ copy), processes, rounds]`."""
        sides = [(m, 0) for m in methods] + ([(self.baseline, 1)] if copy else [])
        for (of, number), grid in zip(sides, seconds, strict=True):
            for process, rounds in enumerate(grid):
                case = self.case(task, of, stage="time", copy=number, replicates=(process,))
                values = tuple(None if np.isnan(v) else float(v) for v in rounds)
                series = Series(kind="rounds", values=values, group=f"{task.label}/{process}")
                value = float(np.nanmedian(rounds))
                self.outcome(case, Measurement(metric="time", value=value, n=len(rounds), unit="s", series=series))

    def trained(self, task: Instance, of: Instance, scores: Sequence[float | None], *, status="ok") -> None:
        """A stack of trained replicates with their final scores."""
        case = self.case(task, of, replicates=tuple(range(len(scores))))
        rows = [Measurement(metric="elbo", value=v, replicate=r, unit="nats") for r, v in enumerate(scores)]
        curve = [Measurement(metric="elbo", value=-150.0, replicate=r, point=10) for r in range(len(scores))]
        memory = Measurement(metric="memory", value=2e6, unit="B")
        self.outcome(case, *curve, *rows, memory, status=status, cost={"memory": 2e6})

    def run(self) -> Stored:
        """The run."""
        plan = Plan(jobs=tuple(Job(cases=(case,)) for case in self.cases), baselines={"gradients": self.baseline})
        return Stored(path=Path("results") / self.name, plan=plan, outcomes=dict(self.outcomes))


def study(seed: int = 0) -> Stored:
    """Two toys and a training with everything that can stand in a table: ties, bias, exact truth, failures."""
    rng = np.random.default_rng(seed)
    reinforce, rloo, disarm = method("reinforce"), method("rloo", n=2), method("disarm")
    straight, exact = method("straight-through"), method("exact")
    crash, gumbel, unfit = method("my-estimator"), method("gumbel-softmax", temperature=0.5), method("relaxed")
    book = Book(baseline=reinforce)
    for bits, scale in ((1, 1e-3), (200, 1.4e-6)):
        task = Instance(name="toy", params={"bits": bits}, target="x:Y", label=f"toy[bits={bits}]")
        common = rng.gamma(40, 1 / 40, 96)
        book.sampled(task, reinforce, scale * common * rng.gamma(200, 1 / 200, 96), stop="budget")
        book.sampled(task, rloo, 0.23 * scale * common * rng.gamma(900, 1 / 900, 96), evaluations=2)
        book.sampled(task, disarm, 0.23 * scale * common * rng.gamma(900, 1 / 900, 96), evaluations=2)
        biased = 300 * scale * rng.gamma(4000, 1 / 4000, 96)
        size = float(np.sqrt(biased.mean()))
        book.sampled(task, straight, biased, bias=(size, 0.99 * size, 1.01 * size), flags=frozenset({"heavy-tail"}))
        book.sampled(task, exact, [0.0], evaluations=2**bits if bits < 60 else 400, bias=(0.0, 0.0, 0.0), stop="exact")
        book.outcome(
            book.case(task, crash),
            status="crashed",
            phase="evaluate",
            reason="the worker died by SIGSEGV in \x1b[31mevaluate[0]",
        )
        book.outcome(
            book.case(task, unfit), status="unsupported", phase="plan", reason="needs a task that offers: relaxable"
        )
        book.sampled(task, gumbel, 0.8 * scale * rng.gamma(40, 1 / 40, 96), bias=(2e-3, 1.9e-3, 2.1e-3))
        methods = [reinforce, rloo, disarm, straight, exact]
        drift = rng.normal(0, 0.05, (1, 5, 60))
        base = np.array([1.5e-6, 1.8e-6, 1.9e-6, 1.6e-6, 9e-5, 1.5e-6])[:, None, None]
        book.timed(task, methods, base * np.exp(drift + rng.normal(0, 0.02, (6, 5, 60))))
        book.outcome(
            book.case(task, gumbel, stage="time", replicates=(0,)),
            status="timeout",
            phase="time",
            reason="no answer in 60 s",
        )
    task = Instance(name="vae", params={}, target="x:Y", label="vae")
    for of, gain in ((reinforce, 0.0), (rloo, 4.0), (disarm, 4.2), (exact, 5.0)):
        book.trained(task, of, list(-104 + gain + rng.normal(0, 0.3, 5)))
    book.trained(task, straight, [-101.0, -100.5, None, -101.2, -100.9], status="diverged")
    return book.run()


def read(*runs: Stored, **options: object) -> Tabulation:
    """Runs as a report reads them, by the specs above."""
    return analysis.read(runs, metrics=METRICS, families=FAMILIES, tasks=TASKS, **options)


def only(tabulation: Tabulation) -> tuple[Table, dict[str, Row]]:
    """The one table, and its rows by the name of their method."""
    (table,) = tabulation.tables
    return table, {row.method.name: row for row in table.rows}


def gamma(seed, count=96, shape=400.0) -> np.ndarray:
    """Squared errors of one method: positive units with mean 1."""
    return np.random.default_rng(seed).gamma(shape, 1 / shape, count)


def grid(ratios, *, processes=10, rounds=30, within=0.05, between=0.05, seed=0, drift=0.2) -> np.ndarray:
    """Seconds of methods whose rounds share a drift, with an own offset for each process."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, drift, (1, processes, rounds))
    own = rng.normal(0, between, (len(ratios), processes, 1))
    return (
        1e-6
        * np.array(ratios)[:, None, None]
        * np.exp(shared + own + rng.normal(0, within, (len(ratios), processes, rounds)))
    )


def table_of(seed, *, worse=1.0) -> Stored:
    """A run of four methods that are alike, all columns; half of the variance of log seconds lies between processes.

    Args:
        worse: factor on the mse of the second method.
    """
    rng = np.random.default_rng([7, seed])
    book = Book(baseline=BASE)
    methods = [BASE, RIVAL, THIRD, method("fourth")]
    for of in methods:
        book.sampled(TOY, of, rng.gamma(20, 1 / 20, 64) * (worse if of is RIVAL else 1))
    book.timed(TOY, methods, grid([1] * 5, processes=5, rounds=4, within=0.3, between=0.3, seed=[8, seed]))
    return book.run()


def timed(seconds: np.ndarray, *, copy=True) -> tuple[Table, dict[str, Row]]:
    """The table of two methods that were timed, and its rows."""
    book = Book(baseline=BASE)
    for of in (BASE, RIVAL):
        book.sampled(TOY, of, gamma(1))
    book.timed(TOY, [BASE, RIVAL], seconds, copy=copy)
    return only(read(book.run()))


def figure(of: Instance = RIVAL, task: Instance = TOY, against: Instance | None = None, **fields: object) -> Figure:
    """A published mse of a quarter, unless said otherwise."""
    known = {
        "name": "toy-rloo",
        "kind": "number",
        "metric": "mse",
        "value": 0.25,
        "low": 0.24,
        "high": 0.26,
        "source": SOURCE,
    }
    known |= {"against": against.label if against else "", **fields}
    spec = PublishedSpec(family="gradients", task=task.label, method=of.label, **known)
    return Figure(spec=spec, task=task, method=of, against=against)
