"""The nouns: what plugins declare, what is planned, and what became of it.

Everything here is a frozen, keyword-only value made of the standard library, so that the desk side never imports
torch and a new field never changes a call. A *spec* is what a plugin registers; an *instance* is a spec with its
parameters filled in; a *case* is one cell of the plan; an *outcome* is what became of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

SCHEMA = "kexue-bench/1"

Scalar = bool | int | float | str
FilePath = str
"""Annotation of a field whose value is the path of a file of the user's; the task gets the absolute path."""
CodePath = str
"""Annotation of a field whose value is `file.py:function`, code of the user's; the task gets the absolute path."""
Stage = Literal["tune", "evaluate", "verify", "time"]
Status = Literal[
    "ok",
    "skipped",
    "unsupported",
    "invalid",
    "failed",
    "diverged",
    "timeout",
    "out-of-memory",
    "crashed",
    "cancelled",
    "lost",
]
Direction = Literal["lower", "higher", "target"]
Scale = Literal["linear", "log"]
Suite = Literal["tour", "quick", "standard", "full"]
Kind = Literal["sampling", "trained", "subject", "record"]
"""What a task is; `plan.kinds` says for each how it is evaluated, timed, verified and tuned."""
Of = Literal["draws", "training", "subject"]
FigureKind = Literal["number", "reading", "order", "vector"]
"""What the check of a claim is given."""
FITTING = "fitting"
"""In `TaskSpec.methods`: every method whose needs the task meets, third parties' methods included."""

STAGES: tuple[Stage, ...] = ("evaluate", "time")
SUITES: tuple[Suite, ...] = ("tour", "quick", "standard", "full")
"""From the smallest to the largest; `tour` runs one task of each family, the one that decides most."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a status says about its case, wherever statuses are read.

    Args:
        result: whether it is a result, so that a run with only such cases is complete.
        again: whether `--resume` runs the case again although nothing changed; `on request` is `--retry-failed`.
        quiet: tables list such cases together on one line, without drawing attention to them.
        meaning: one sentence.
    """

    result: bool
    again: Literal["never", "on request", "always"]
    quiet: bool
    meaning: str

    @property
    def left_out(self) -> bool:
        """Whether the case was never meant to run here, so that it has no verdict."""
        return self.result and self.quiet


SUSPECT = "suspiciously exact: every draw equals the truth to the last bit, which no estimate does; no star"
"""Flag of a method that is listed behind all others and never marked as best; `deterministic` methods never have it."""

ORACLE = "oracle: it uses what no user has, the answer itself; a row to compare with, no star"
"""Flag of the row of a family's oracle, which is treated alike."""

STATUSES: Mapping[str, Ending] = {
    "ok": Ending(result=True, again="never", quiet=False, meaning="the case was measured"),
    "skipped": Ending(result=True, again="never", quiet=True, meaning="a rule or a plugin left the case out"),
    "unsupported": Ending(
        result=True, again="never", quiet=True, meaning="the method cannot run on this task or on this machine"
    ),
    "invalid": Ending(
        result=False, again="on request", quiet=False, meaning="what the method returned cannot be measured"
    ),
    "failed": Ending(result=False, again="on request", quiet=False, meaning="an error ended the case"),
    "diverged": Ending(
        result=True, again="never", quiet=False, meaning="the training diverged; what was measured until then is kept"
    ),
    "timeout": Ending(result=False, again="on request", quiet=False, meaning="the case exceeded its time limit"),
    "out-of-memory": Ending(
        result=False, again="on request", quiet=False, meaning="the case exceeded its memory limit"
    ),
    "crashed": Ending(
        result=False, again="on request", quiet=False, meaning="the process of the case ended without an answer"
    ),
    "cancelled": Ending(
        result=False, again="always", quiet=True, meaning="the run was stopped before the case had ended"
    ),
    "lost": Ending(
        result=False,
        again="always",
        quiet=False,
        meaning="the engine lost the case or its outcome; the case is not at fault",
    ),
}
"""Every status, in one table; all code that distinguishes statuses reads it."""


# -- what a plugin declares -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A training loop that `kexue-bench show` prints for methods of a family, ready to paste.

    Args:
        code: lines of Python, with `METHOD` where the method is made.
        words: words of a method's `needs` or names of its parameters, all of which it must have; empty fits every one.
    """

    code: str
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class FamilySpec:
    """A kind of problem: one contract for its methods, its tasks and the columns of its tables.

    Args:
        name: `gradients`, `logdet`, ...
        title: heading of its tables.
        summary: one sentence.
        contract: `module:Protocol` that its methods fulfil, or `module:Union` of Protocols, one of which each fulfils.
        precision_metric: the metric whose relative half-width decides when a sampling case may stop.
        baseline: selector of the method that ratios refer to.
        headline: names of the metrics shown as columns, in order.
        work: name of the counter that prices one draw (`evaluations`, `products`); `work-variance` is `mse` times it.
        judged_by: what the mean of the draws that a budget buys is judged by: `progress-loss` for gradients that an
            optimizer rescales, `budget-error` for values; empty if draws are not judged at a budget.
        uses: the budgets, in units of work; the first decides.
        oracle: name of the method that uses what no user has (draws of the target itself), if there is one: listed
            behind all others, never marked as best, never recommended.
        loops: training loops for `kexue-bench show`; of those that fit a method, the first is printed. Without one, the
            example of its docstring is.
    """

    name: str
    title: str
    summary: str
    contract: str
    precision_metric: str
    baseline: str
    headline: tuple[str, ...]
    work: str = ""
    judged_by: Literal["", "progress-loss", "budget-error"] = ""
    uses: tuple[float, ...] = ()
    oracle: str = ""
    loops: tuple[Loop, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A field that tuning may change, with its grid; every method gets the same number of trials.

    Args:
        when: condition over the method's fields and the task under which the field matters; empty means always. Where
            it does not hold, no trial is spent on the field.
    """

    field: str
    grid: tuple[float, ...]
    scale: Scale = "log"
    when: str = ""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A property that a method claims to have.

    Args:
        name: name of a `ClaimSpec` (`unbiased`), or a word that the core knows (`deterministic`).
        when: condition over the method's fields and the task's offers; empty means always.
    """

    name: str
    when: str = ""


@dataclass(frozen=True, kw_only=True)
class Unless:
    """A rule that leaves out a case although its needs are met: its status is `skipped`.

    Args:
        when: condition, as in `MethodSpec.when`; it may also read `claim` (the name of the claim that is verified, else
            empty) and `cost` (the declared cost of a call).
        because: the reason, printed in the table. `{expression}` stands for a value: `{cost} products`.
    """

    when: str
    because: str


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """One algorithm of a family.

    Args:
        name: its usual name in the literature, in kebab case.
        family: name of its family.
        target: `module:Class` of the frozen dataclass that implements it; imported in workers only.
        summary: one sentence.
        references: sources, each with its arXiv id or venue.
        claims: properties that it claims; a plain word is a `Claimed` without a condition, and one may stand alone.
        cost: declared units of work per call, as an expression in its fields (`n` evaluations).
        needs: words that a task must offer (`enumerable`, `differentiable`); one word may be a plain string.
        when: further condition that a task must meet, in terms of the method's fields, `task.NAME` (a parameter or fact
            of the task; a comparison with one that it lacks is false), `offers` and `dtype`.
        unless: rules that skip a case; the first that holds gives the reason.
        fixed: fields of the class that this method fixes; they are not parameters and not part of a key.
        defaults: defaults of fields in this declaration, in place of the class's own.
        knobs: fields that tuning may change.
        aliases: other names that selectors accept for it.
        variants: selectors that a suite runs; empty means the method with its defaults.
        suites: suite -> selectors of the tasks on which that suite runs it, if the user names no method; `()` is none.
            A suite that is not listed runs it like the others: on every task that it fits, or, in the plugin of the
            family, on those whose `TaskSpec.methods` has it.
        requires: package that must be installed (`imate`); without it no suite runs the method, and if the user names
            it, its cases are `unsupported`.
        install: command that installs the package.
    """

    name: str
    family: str
    target: str
    summary: str
    references: tuple[str, ...] = ()
    claims: tuple[Claimed, ...] = ()
    cost: str = ""
    needs: frozenset[str] = frozenset()
    when: str = ""
    unless: tuple[Unless, ...] = ()
    knobs: tuple[Knob, ...] = ()
    aliases: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    requires: str = ""
    install: str = ""
    fixed: Mapping[str, Scalar] = field(default_factory=dict)
    defaults: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Convert plain words to `Claimed` and to a set."""
        given = (self.claims,) if isinstance(self.claims, str) else self.claims
        claims = tuple(Claimed(name=claim) if isinstance(claim, str) else claim for claim in given)
        needs = frozenset({self.needs}) if isinstance(self.needs, str) else frozenset(self.needs)
        object.__setattr__(self, "claims", claims)
        object.__setattr__(self, "needs", needs)


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """One standard problem of a family.

    Args:
        name: in kebab case.
        family: name of its family.
        target: `module:Class` of the frozen dataclass that implements it; imported in workers only.
        summary: one line, printed above its table.
        version: changes whenever a number that it produces may change; part of every key.
        kind: `sampling` (a `Sampling` whose draws have a truth), `trained` (a `Training`), `subject` (what it builds
            from the method is measured by its own `evaluate`), or `record` (it records for itself; nothing to verify).
        offers: words that methods may need.
        facts: further names that conditions read as `task.NAME`: name -> expression in the task's parameters and
            earlier facts (`{"rows": "side * side"}`).
        unless: rules that skip a case; the first that holds gives the reason.
        rare: name of a method -> share of its seeds, found with many of them, whose score lies far from the others: an
            expression as in `facts` (`{"sigmoid-f1": "0.14 if prior <= 0.01 else 0"}`). A row with so few seeds that
            they may all have missed this group carries the flag `heavy-tail`, whatever they show.
        knobs: fields that tuning may change, together with the method's own.
        suites: suite -> selectors of the instances it runs. Under `verify` a trained or subject task may name the
            instance, as small as possible, on which `verify` checks what every method of the family promises; its
            quick suite runs no other. A sampling task names its verification points there, on which claims are checked
            in place of its instances in quick, and beside them in the other suites.
        methods: suite -> selectors of the methods of the family's plugin that it runs here if the user names none, for
            tasks that are too expensive for all; `fitting`, alone or among them, stands for every method whose needs
            the task meets; the baseline is always added. A suite that is not listed runs every method. Methods of other
            plugins run wherever they fit, unless `MethodSpec.suites` says otherwise.
        timed: suites in which the `time` stage runs too; a task named on the command line is always timed.
        replicates: suite -> number of replicates (seeds); sampling tasks have one.
        stack: replicates trained together in one case; part of the version, since bits depend on it.
        budgets: suite -> largest number of draws of a sampling case; a task that declares none has 2**14, 2**16 and
            2**18 draws in quick, standard and full.
        dtype: the dtype it is defined in, unless `--dtype` says otherwise.
        primary: the metric that decides which method is best here; empty means the family's precision metric.
        headline: columns of its table if they differ from the family's.
        baseline: selector of the method that ratios refer to here, if the family's baseline does not suit the task; a
            baseline named by the user overrides both.
        points: what the points of its curves count, if not training steps (`products`).
        fixed: fields of the class that this task fixes; they are not parameters and not part of a key.
        defaults: defaults of fields in this declaration, in place of the class's own.
    """

    name: str
    family: str
    target: str
    summary: str
    version: int
    kind: Kind = "sampling"
    offers: frozenset[str] = frozenset()
    facts: Mapping[str, str] = field(default_factory=dict)
    unless: tuple[Unless, ...] = ()
    rare: Mapping[str, str] = field(default_factory=dict)
    knobs: tuple[Knob, ...] = ()
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    methods: Mapping[str, tuple[str, ...] | str] = field(default_factory=dict)
    timed: frozenset[str] = frozenset(SUITES)
    replicates: Mapping[str, int] = field(default_factory=dict)
    stack: int = 1
    budgets: Mapping[str, int] = field(default_factory=dict)
    dtype: str = "float32"
    primary: str = ""
    headline: tuple[str, ...] = ()
    baseline: str = ""
    points: str = "steps"
    fixed: Mapping[str, Scalar] = field(default_factory=dict)
    defaults: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A measured quantity: its unit, which direction is better, and whether it is compared by ratios or differences.

    Args:
        name: in kebab case.
        unit: printed once in the column's header (`s`, `B`, `nats`); empty for pure numbers.
        direction: `lower` or `higher` is better; `target` has a true value, and neither direction is better.
        scale: `log` compares by ratios, `linear` by differences.
        summary: one sentence for `kexue-bench list metrics`.
        heading: the column's header; empty means the name.
        margin: on the linear scale, the largest difference that does not matter, in `unit`; None if every difference
            may matter, so that nothing is called equivalent. Ratios use the margin of the comparison.
        family: the family that it belongs to; empty means the one family that the plugin registers or extends. The
            core's metrics belong to every family.
        ignores: what an order by this metric ignores, said where a reader asks for that order.
        event: every replicate is 0 or 1, whether something happened to it: the mean is a share, with exact intervals.
    """

    name: str
    unit: str = ""
    direction: Direction = "lower"
    scale: Scale = "log"
    summary: str = ""
    heading: str = ""
    margin: float | None = None
    family: str = ""
    ignores: str = ""
    event: bool = False


@dataclass(frozen=True, kw_only=True)
class ClaimSpec:
    """A check of a claim: `target` is `module:function`, called as `(object, method, ctx) -> Evidence`.

    Args:
        of: what the first argument is: the `Sampling` of a task (`draws`), a fresh `Training`, or the task's subject.
        target: returns the evidence, not a verdict; the analysis decides.
        family: empty for claims that methods of every family may make.
        always: checked for every method, declared or not: a promise that every method makes by taking part.
    """

    name: str
    target: str
    summary: str
    family: str = ""
    of: Of = "draws"
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class ReadingSpec:
    """A rule applied to a trained score (threshold 0.5, tuned): a label of measurements, never a case."""

    name: str
    family: str
    target: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class PublishedSpec:
    """A published figure, shown beside ours, with the range that counts as reproduced.

    Only a figure that was read in its source belongs here, and only under its own protocol: a smaller network on a
    similar task has no published figure. The range is derived from the source alone, never from our value. A theorem
    has nothing to confront: check it in a test.

    Args:
        name: in kebab case, unique in its family.
        family: name of its family.
        kind: what was published: a `number` (printed, or a printed range; two-sided, from its digits or its stated
            error), a `reading` from a plot (two-sided, from the reading error), an `order` (a one-sided statement), or
            a `vector` (several printed entries of one object, which count as one figure).
        task: selector of the one instance that is the published protocol.
        method: selector of the one instance whose value was published.
        metric: the column, with its labels as tables write them (`f1[reading=tuned]`); of a vector, without them.
        value: the number or the height; None if a range or an order was stated.
        low: smallest value of ours that reproduces it; None for no limit.
        high: largest such value; None for no limit.
        against: selector of a second method; the figure is then the ratio of the first method's value to this one's.
        source: authors or title, arXiv id or venue, and the place in it.
        statement: what was stated, if it is not a number.
        blind: False for a reading by someone who knew the exact value: not independent evidence.
        entries: of a vector, labels -> printed value (`{"entry=0": 0.25}`).
        within: of a vector, how far each entry of ours may lie from the printed one.
    """

    name: str
    family: str
    kind: FigureKind
    task: str
    method: str
    metric: str
    source: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    against: str = ""
    statement: str = ""
    blind: bool = True
    entries: Mapping[str, float] = field(default_factory=dict)
    within: float | None = None


@dataclass(frozen=True, kw_only=True)
class ReporterSpec:
    """An output format of `compare`, `report` and `export`: `target` is `module:function`, called as
    `(tabulation, stream) -> None`.
    """

    name: str
    target: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A further verb of `kexue-bench`.

    Args:
        name: the verb; one of the core's cannot be replaced.
        target: a module with `configure(parser)`, which adds arguments to an `argparse` parser, and `execute(args)`,
            which returns the exit code. `-p` and `-v` are added by the core: `args.plugin` and `args.verbose`.
        summary: one line of help.
    """

    name: str
    target: str
    summary: str


# -- what is planned --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Given:
    """A file of the user's that a field names.

    Args:
        place: its absolute path, below `~` in the home folder; of code with `:function`.
        digest: 16 hex digits over its content; of code over all files beside it that it imports, too.
        size: bytes of these files.
    """

    place: str
    digest: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A method or a task with every parameter filled in.

    Args:
        name: bare name.
        params: every declared field -> value, defaults included, coerced to the declared type; of a file its name
            without the folder.
        target: `module:Class`.
        source: name of the plugin that registered it.
        fixed: fields that its declaration fixes; not part of a key.
        kind: the kind of a task; empty for a method.
        label: what tables print: the name with the parameters that differ from their defaults or were written; of a
            method that another plugin than the family's registered with the name of that plugin, `half-step (acme)`.
        files: field -> the file that it names. The content belongs to the fingerprint; the key has the name alone.
    """

    name: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    target: str
    source: str = ""
    fixed: Mapping[str, Scalar] = field(default_factory=dict)
    kind: Kind | Literal[""] = ""
    label: str = ""
    files: Mapping[str, Given] = field(default_factory=dict)

    @property
    def plain(self) -> str:
        """The label without the plugin."""
        return self.label.removesuffix(f" ({self.source})")


@dataclass(frozen=True, kw_only=True)
class Case:
    """The unit of result: one method on one task in one stage, with a stable content key.

    Args:
        replicates: the replicates this case holds: a block of seeds (`evaluate`) or one process number (`time`).
        copy: 0, or 1 for the A/A copy of the baseline in a timing group.
        threads: torch threads, fixed.
        of: what the check of the claim is given; not part of the key, which names the claim and its check.
        options: the options of this stage only (`precision`, `budget`; `rounds`, `sample`). `tuned` holds the key of
            the `tune` case whose choice replaces fields of this one: the key names the search, not its result.
    """

    family: str
    task: Instance
    task_version: int
    method: Instance
    stage: Stage
    claim: str = ""
    of: Of = "draws"
    replicates: tuple[int, ...] = (0,)
    copy: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    seed: int = 0
    options: Mapping[str, Scalar] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Identity of the case, 16 hex digits: what is computed, never who computes it or how fast."""
        identity = {
            "schema": SCHEMA,
            "family": self.family,
            "task": [self.task.name, self.task_version, dict(self.task.params)],
            "method": [self.method.name, dict(self.method.params)],
            "stage": self.stage,
            "claim": self.claim,
            "replicates": list(self.replicates),
            "copy": self.copy,
            "device": self.device,
            "dtype": self.dtype,
            "threads": self.threads,
            "seed": self.seed,
            "options": dict(self.options),
        }
        text = json.dumps(identity, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Job:
    """The unit of dispatch: one case, the claims of one method, or every case of one process of a timing group.

    Args:
        exclusive: runs alone on the machine (timing).
        group: name shared by the processes of one timing group; empty for other jobs.
    """

    cases: tuple[Case, ...]
    exclusive: bool = False
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every case of a run, in order.

    Args:
        jobs: what will be dispatched.
        settled: outcomes known without running (`unsupported`, `skipped`), with their cases in `settled_cases`.
        baselines: family -> the instance that its ratios refer to; `family/task` -> that of a task with another one.
        added: labels of baselines that were added although `-m` left them out.
        left_out: `family/task` -> selectors of the methods that the suite does not run there, although they could.
        request: the options that made this plan, as plain data.
    """

    jobs: tuple[Job, ...]
    settled: tuple[Outcome, ...] = ()
    settled_cases: tuple[Case, ...] = ()
    baselines: Mapping[str, Instance] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    request: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """All planned cases, including those settled without running."""
        return tuple(case for job in self.jobs for case in job.cases) + self.settled_cases

    @cached_property
    def by_key(self) -> Mapping[str, Case]:
        """Key -> case."""
        return {case.key: case for case in self.cases}


# -- what became of it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Series:
    """The independent units behind a measurement, so that two methods can be paired.

    Args:
        kind: `dyadic` (batch means of the ledger of `lab.moments`) or `rounds` (seconds per unit, one value per round).
        values: the units in order; None if the method was absent from a round.
        batch: draws in one batch (`dyadic`), or units in one sample (`rounds`).
        looks: number of looks of the dyadic schedule.
        group: timing group and process, since ratios exist only inside one group.
    """

    kind: Literal["dyadic", "rounds"]
    values: tuple[float | None, ...]
    batch: int = 1
    looks: int = 0
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """How the draws of an estimator lie relative to its truth g, unit by unit: enough to say what the mean of n draws
    is worth, for every n.

    Every unit is a mean over equally many draws. With e = g / |g|, m the mean of all draws and M_u that of unit u, the
    numbers below are small where the estimator is precise, so that no digits are lost.

    Args:
        norm: |g|; if it is 0, e counts as 0 too.
        dimension: number of entries of g.
        freedom: effective dimension of the noise, (tr S)^2 / tr(S^2) for the covariance S of a draw.
        draws: number of draws in a unit.
        along: M_u . e for each unit.
        across: M_u . (m - (m . e) e) for each unit.
        spread: mean of |draw - m|^2 over each unit.
        resolution: error of one draw from rounding alone.
        error: length within which the exact truth lies around g with 95 % confidence, if g is a reference; 0 if exact.
    """

    norm: float
    dimension: int
    freedom: float
    draws: int
    along: tuple[float, ...]
    across: tuple[float, ...]
    spread: tuple[float, ...]
    resolution: float = 0.0
    error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured number with its 95 % interval.

    Args:
        metric: name of a `MetricSpec`.
        value: None if it does not exist.
        low: lower end of the interval; None if there is none.
        high: upper end.
        n: number of draws, rounds or test items behind it.
        unit: unit of the value.
        replicate: the seed or process it belongs to; None for a whole case.
        point: step of a training curve; None for the final value.
        labels: further words that distinguish rows (`reading`, `weights`).
        flags: remarks. Those of the core have signs (`degenerate`, `heavy-tail`, `exact`, `bound`: only an upper
            bound); any other is printed under the table with the methods that have it.
        series: the units behind it.
        moments: with `mse`, what losses at a budget are computed from when results are read.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 1
    unit: str = ""
    replicate: int | None = None
    point: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    series: Series | None = None
    moments: Moments | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence(Measurement):
    """What the check of a claim found; the analysis decides.

    The value is the measured violation, 0 if the claim holds exactly; None if nothing could be measured.

    Args:
        claim: name of the claim.
        statistic: the test statistic.
        p: its p-value, corrected for repeated looks; None if no test applies (an identity that holds or does not).
        detectable: the smallest violation, in the unit of `value`, that would have been detected with 90 % power.
        tolerance: the largest violation that does not matter; a claim passes only if a larger one would have been
            detected.
        note: one sentence on what was looked at.
    """

    claim: str
    statistic: float | None = None
    p: float | None = None
    detectable: float | None = None
    tolerance: float = 0.0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one case. Every planned case has one.

    Args:
        key: the case's key.
        attempt: 1 for the first; the highest attempt of a key wins, earlier ones stay in the ledger.
        phase: where it ended (`resolve`, `build`, `evaluate`, `time`, ...).
        reason: one sentence, empty when `ok`.
        trace: last lines of a traceback.
        cost: counters of one instrumented call, per draw or step (`evaluations`, `memory`); for a timing case calls in
            a sample (`inner`), samples lost to other processes (`preempted`) and the shortest sample in seconds
            (`sample`).
        details: name -> digest of a side file.
        seconds: wall seconds of the case in its worker.
        stop: why sampling ended: `precision`, `budget`, `exact`, `degenerate`, or `enumerated` if exact moments stand
            in for samples; empty if nothing was sampled.
        fingerprint: hash of the code and libraries that produced it, as far as the sources of its task and method tell.
        sources: digest of the list of all code that its worker had loaded, a side file in `sources`; empty if the
            worker did not say.
        chosen: what tuning chose: field of the method, or `task.` and a field of the task -> value; in a `tune` case
            and in the cases that use its choice.
        state_leak: settings of the process that it left changed; they were restored before the next case.
        peak: largest resident bytes that its worker's process had held by the end of the case; 0 if unknown.
    """

    key: str
    status: Status
    attempt: int = 1
    phase: str = ""
    reason: str = ""
    trace: str = ""
    measurements: tuple[Measurement, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    stop: str = ""
    fingerprint: str = ""
    chosen: Mapping[str, Scalar] = field(default_factory=dict)
    state_leak: tuple[str, ...] = ()
    sources: str = ""
    peak: int = 0


class RunLike(Protocol):
    """What a table or a frame needs of a stored run."""

    @property
    def path(self) -> Path:
        """Its folder; the name is what rows print."""
        ...

    @property
    def plan(self) -> Plan:
        """Every planned case."""
        ...

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """Key -> what became of the case."""
        ...
