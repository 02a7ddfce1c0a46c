"""Run(s) -> Tabulation: the statistical reading of stored outcomes, one table for each task, device and dtype."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ..api import ORACLE, STATUSES, Case, FamilySpec, Instance, Outcome, RunLike, TaskSpec
from ..catalog.conditions import rare_share
from ..catalog.metrics import Metrics, lookup
from ..errors import UnknownNameError, UsageError
from . import seeds, stats
from .aggregate import summarize
from .published import Figure, reproductions
from .stats import Correction
from .tables import Aggregate, Cell, Control, Failure, Row, Summary, Table, Tabulation
from .units import Entry, Units, collect, column_key, contrast, product
from .uses import Judged, decider, explained, judge_draws
from .verdicts import Policy, judge

__all__ = [
    "Aggregate",
    "Cell",
    "Control",
    "Failure",
    "Row",
    "Summary",
    "Table",
    "Tabulation",
    "check_levels",
    "read",
]

READ = frozenset({"evaluate", "time"})
"""Stages that make tables; claims are read by `verify`, tuning feeds `evaluate`."""
Identity = tuple[object, ...]


def read(
    runs: Sequence[RunLike],
    *,
    metrics: Metrics,
    families: Mapping[str, FamilySpec],
    tasks: Mapping[tuple[str, str], TaskSpec],
    margin: float = 0.05,
    alpha: float = 0.05,
    correction: Correction = "holm",
    baseline: str | None = None,
    published: Sequence[Figure] = (),
    backward_cost: float = 1.0,
    sorted_by: Mapping[str, str] | None = None,
) -> Tabulation:
    """Read one or more runs.

    Args:
        runs: at least one; if several have the baseline, the first one provides it.
        metrics: (family, name) -> spec.
        families: name -> spec.
        tasks: (family, name) -> spec.
        margin: ratios within 1 + margin, either way, do not matter.
        alpha: level of each of the two families of tests in a table: the primary column, and all others.
        correction: correction for multiple tests within a family.
        baseline: label or bare name of a method; None takes the plan's own.
        published: figures to show beside ours, of any family.
        backward_cost: price of a backward pass, in evaluations.
        sorted_by: family -> metric that a reader asked to order its rows by.

    Raises:
        UsageError: no run, a margin or level out of range, or a baseline that names several methods.
        UnknownNameError: a baseline that no run has.
    """
    if not runs:
        raise UsageError("there is no run to compare", do="`kexue-bench list runs` shows what is stored")
    check_levels(margin=margin, alpha=alpha)
    policy = Policy(margin=margin, alpha=alpha, correction=correction, metrics=metrics)
    reader = _Reader(
        runs=tuple(runs),
        families=families,
        tasks=tasks,
        baseline=baseline,
        policy=policy,
        published=tuple(published),
        backward_cost=backward_cost,
        sorted_by=sorted_by or {},
    )
    tables = tuple(reader.table(place) for place in reader.places)
    if baseline is not None and tables and not any(table.baseline for table in tables):
        labels = {row.label for table in tables for row in table.rows} | {
            row.method.name for table in tables for row in table.rows
        }
        raise UnknownNameError("baseline", baseline, labels)
    return Tabulation(
        runs=tuple(run.path.name for run in runs),
        tables=tables,
        summaries=tuple(
            summarize(
                name,
                families.get(name),
                tables=[table for table in tables if table.family == name],
                outcomes=[outcome for _, case, outcome in reader.cases if case.family == name],
                policy=replace(policy, family=name),
            )
            for name in reader.family_names
        ),
        metrics=metrics,
        margin=margin,
        alpha=alpha,
        correction=correction,
        added=tuple(dict.fromkeys(label for run in runs for label in run.plan.added)),
    )


def check_levels(**levels: float) -> None:
    """Reject a margin or a level out of range.

    Raises:
        UsageError: one does not lie between 0 and 1.
    """
    for name, value in levels.items():
        if not 0 < value < 1:
            raise UsageError(f"{name} must lie between 0 and 1", got=str(value), do="write 5% or 0.05")


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Variant:
    """The cases of one method on one task whose results agree across runs."""

    run: int
    method: Instance
    cases: tuple[tuple[int, Case, Outcome], ...]

    @property
    def identity(self) -> Identity:
        """Equal for rows of the same method; a tuned method has another."""
        return _identity(self.method, self.search)

    @property
    def search(self) -> str:
        """Key of the tuning case that chose its fields; empty if there is none."""
        return str(self.cases[0][1].options.get("tuned", ""))

    def stages(self) -> Mapping[str, Mapping[str, str]]:
        """Stage -> key -> fingerprint."""
        out: dict[str, dict[str, str]] = {}
        for _, case, outcome in self.cases:
            out.setdefault(case.stage, {})[case.key] = outcome.fingerprint
        return out

    @property
    def mark(self) -> Identity:
        """Rows with different marks measured different things."""
        case = self.cases[0][1]
        files = " ".join(f"{case.task.params[name]} {file.digest}" for name, file in case.task.files.items())
        return case.task_version, case.seed, case.threads, files


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """The cases of all runs, ordered by the table they belong to."""

    runs: tuple[RunLike, ...]
    families: Mapping[str, FamilySpec]
    tasks: Mapping[tuple[str, str], TaskSpec]
    baseline: str | None
    policy: Policy
    published: tuple[Figure, ...]
    backward_cost: float
    sorted_by: Mapping[str, str]

    @cached_property
    def cases(self) -> tuple[tuple[int, Case, Outcome], ...]:
        """(run, case, outcome) of every planned case; a case without an outcome is `lost`."""
        out = []
        for index, run in enumerate(self.runs):
            settled = {outcome.key: outcome for outcome in run.plan.settled}
            for case in run.plan.cases:
                found = run.outcomes.get(case.key) or settled.get(case.key)
                lost = Outcome(
                    key=case.key, status="lost", phase=case.stage, reason="the run ended before this case did"
                )
                out.append((index, case, found or lost))
        return tuple(out)

    @cached_property
    def family_names(self) -> tuple[str, ...]:
        """Families in planned order."""
        return tuple(dict.fromkeys(case.family for _, case, _ in self.cases))

    @cached_property
    def places(self) -> Mapping[Identity, tuple[tuple[int, Case, Outcome], ...]]:
        """Table -> its cases; tables of one family stand together."""
        found: dict[Identity, list[tuple[int, Case, Outcome]]] = {}
        for item in self.cases:
            case = item[1]
            if case.stage in READ:
                place = (case.family, case.task.name, tuple(sorted(case.task.params.items())), case.device, case.dtype)
                found.setdefault(place, []).append(item)
        order = {name: i for i, name in enumerate(self.family_names)}
        return {place: tuple(found[place]) for place in sorted(found, key=lambda p: order[str(p[0])])}

    def variants(self, place: Identity) -> list[_Variant]:
        """One for each method; several if runs have different results of the same method."""
        out: dict[Identity, list[_Variant]] = {}
        for index in range(len(self.runs)):
            mine: dict[Identity, list[tuple[int, Case, Outcome]]] = {}
            for item in self.places[place]:
                if item[0] == index and item[1].copy == 0:
                    mine.setdefault(_identity(item[1].method, str(item[1].options.get("tuned", ""))), []).append(item)
            for identity, cases in mine.items():
                known = out.setdefault(identity, [])
                new = _Variant(run=index, method=cases[0][1].method, cases=tuple(cases))
                if not known or not _merge(known, new):
                    known.append(new)
        return [variant for known in out.values() for variant in known]

    def table(self, place: Identity) -> Table:
        """Read one table."""
        variants = self.variants(place)
        first = self.places[place][0][1]
        family, policy = self.families.get(first.family), replace(self.policy, family=first.family)
        spec = self.tasks.get((first.family, first.task.name))
        judged_draws = [self._judged(variant) for variant in variants]
        units = [
            {**self._units(variant), **judged.units} for variant, judged in zip(variants, judged_draws, strict=True)
        ]
        primary = self._primary(units, spec, family, judged_draws)
        if spec is not None and spec.rare:
            shares = [rare_share(spec, first.task, variant.method.name) for variant in variants]
            units = [_warned(row, primary, share) for row, share in zip(units, shares, strict=True)]
        if family is not None and family.oracle:
            units = [
                _marked(row, ORACLE) if variant.method.name == family.oracle else row
                for variant, row in zip(variants, units, strict=True)
            ]
        direction = policy.spec(primary).direction
        order = sorted(range(len(variants)), key=lambda i: _rank(variants[i], units[i].get(primary), direction))
        variants, units = [variants[i] for i in order], [units[i] for i in order]
        judged_draws = [judged_draws[i] for i in order]
        measured = [variant for variant, row in zip(variants, units, strict=True) if row]
        chosen = self._find_baseline(first, self._own_baseline(spec, measured), variants)
        control = self._control(place)
        judged = judge(
            units,
            [variant.mark for variant in variants],
            baseline=chosen,
            primary=primary,
            gate=2 * abs(control.value) if control is not None else math.inf,
            policy=policy,
        )
        several = Counter(variant.identity for variant in variants)
        rows = []
        for i, variant in enumerate(variants):
            cells = {
                key: replace(_cell(u), effect=judged.effects[i].get(key), rank_group=judged.groups[i].get(key, ""))
                for key, u in units[i].items()
            }
            cells |= {key: _cell(u) for key, u in judged_draws[i].below.items()}
            row = self._row(variant, cells, suffix=several[variant.identity] > 1)
            against = variants[chosen].mark if chosen is not None else variant.mark
            standing = judged.standings[i]
            rows.append(
                replace(
                    row,
                    mark=standing.mark,
                    seen=standing.detectable,
                    is_baseline=i == chosen,
                    incomparable=_unlike(variant.mark, against),
                    biased=judged_draws[i].biased,
                    astray=primary in units[i] and units[i][primary].astray,
                    unjudged=judged_draws[i].reason,
                )
            )
        headline = (spec.headline if spec and spec.headline else family.headline if family else ()) or tuple(
            dict.fromkeys(u.metric for row in units for u in row.values())
        )
        return Table(
            family=first.family,
            task=first.task,
            summary=spec.summary if spec else "",
            device=first.device,
            dtype=first.dtype,
            threads=tuple(sorted({case.threads for _, case, _ in self.places[place]})),
            seeds=tuple(sorted({case.seed for _, case, _ in self.places[place]})),
            primary=primary,
            columns=_columns(headline, rows, primary),
            decides=self._decides(first.family, primary, judged_draws),
            baseline=rows[chosen].label if chosen is not None else "",
            rows=tuple(rows),
            control=_as_control(control),
            timed=any("time" in row for row in units),
            tests=judged.tests,
            exploratory=judged.exploratory,
            detectable=_detectable(rows),
            published=reproductions(
                self.published, (first.family, first.task), rows, lambda name: policy.spec(name).scale
            ),
        )

    def _units(self, variant: _Variant) -> dict[str, Units]:
        """Column -> units of one method, derived ones included; `evaluate` wins if both stages record a metric."""
        columns: dict[str, list[Entry]] = {}
        for run, case, outcome in sorted(variant.cases, key=lambda item: item[1].stage):
            for m in outcome.measurements:
                if m.point is None:
                    entry = Entry(run=run, case=case, outcome=outcome, measurement=m)
                    columns.setdefault(column_key(m), []).append(entry)
        out: dict[str, Units] = {}
        for key, entries in columns.items():
            stage = entries[0].case.stage
            same_stage = [e for e in entries if e.case.stage == stage]
            planned = frozenset(r for _, case, _ in variant.cases if case.stage == stage for r in case.replicates)
            spec = lookup(self.policy.metrics, entries[0].case.family, entries[0].measurement.metric)
            found = collect(same_stage, spec, planned)
            if found is not None:
                out[key] = found
        mse = out.get("mse")
        if mse is not None and "time" in out and "time-variance" not in out:
            out["time-variance"] = product("time-variance", "s", mse, out["time"])
        return out

    def _judged(self, variant: _Variant) -> Judged:
        """The columns at a budget of one method."""
        family = self.families.get(variant.cases[0][1].family)
        entries = [
            Entry(run=run, case=case, outcome=outcome, measurement=m)
            for run, case, outcome in variant.cases
            for m in outcome.measurements
            if case.stage == "evaluate" and column_key(m) == "mse" and m.point is None
        ]
        if family is None or not entries:
            return Judged()
        policy = replace(self.policy, family=family.name)
        return judge_draws(entries, family, spec=policy.spec, backward=self.backward_cost)

    def _decides(self, name: str, primary: str, judged: Sequence[Judged]) -> str:
        """What decides a table, where it needs saying."""
        family, asked = self.families.get(name), self.sorted_by.get(name, "")
        if asked:
            ignored = lookup(self.policy.metrics, name, asked).ignores
            return f"ordered by `{asked}`, as asked" + (f": it ignores {ignored}" if ignored else "")
        if family is None or not any(one.dimension or one.reason for one in judged):
            return ""
        return explained(primary, family, judged, backward=self.backward_cost)

    def _primary(
        self,
        units: Sequence[Mapping[str, Units]],
        spec: TaskSpec | None,
        family: FamilySpec | None,
        judged: Sequence[Judged],
    ) -> str:
        """The column that decides; if its metric occurs only with labels, the first of these."""
        keys = {key: u.metric for row in units for key, u in row.items()}
        measured = any(one.dimension or one.reason for one in judged)
        usual = ((family.judged_by if measured else "") or family.precision_metric) if family else ""
        named = (spec.primary if spec else "") or usual
        wanted = decider(named, family, judged)
        if wanted in keys or not keys or wanted != named:
            return wanted
        return next((key for key, metric in keys.items() if metric == wanted), next(iter(keys)))

    def _own_baseline(self, spec: TaskSpec | None, measured: Sequence[_Variant]) -> str | None:
        """The baseline that the task declares, if it was measured and the user named none."""
        if spec is None or any(run.plan.request.get("baseline") for run in self.runs):
            return None
        return spec.baseline if any(spec.baseline in {v.method.plain, v.method.name} for v in measured) else None

    def _find_baseline(self, place: Case, own: str | None, variants: Sequence[_Variant]) -> int | None:
        """The row that ratios refer to, in the first run that has it: as named, planned for the task, declared by the
        task, or planned for the family.
        """
        planned = [b for run in self.runs if (b := run.plan.baselines.get(f"{place.family}/{place.task.label}"))]
        named = self.baseline if self.baseline is not None or planned else own
        if named is not None:
            found = [i for i, v in enumerate(variants) if named in {v.method.label, v.method.plain}]
            found = found or [i for i, v in enumerate(variants) if named == v.method.name]
            found = [i for i in found if not variants[i].search] or found
            if len({variants[i].identity for i in found}) > 1:
                labels = " or ".join(sorted(variants[i].method.label for i in found))
                raise UsageError("the baseline names several methods", got=repr(named), do=f"write {labels}")
        else:
            planned += [b for run in self.runs if (b := run.plan.baselines.get(place.family))]
            wanted = [_identity(b) for b in planned]
            found = [i for w in wanted[:1] for i, v in enumerate(variants) if v.identity == w]
        return min(found, key=lambda i: variants[i].run, default=None)

    def _control(self, place: Identity) -> stats.Contrast | None:
        """The method that was timed against its copy, within groups, whatever the baseline of this report."""
        timed = [item for item in self.places[place] if item[1].stage == "time"]
        twice = {(run, _identity(case.method)) for run, case, _ in timed if case.copy == 1}
        sides: list[Units | None] = []
        for copy in (1, 0):
            entries = [
                Entry(run=run, case=case, outcome=outcome, measurement=m)
                for run, case, outcome in timed
                if case.copy == copy and (run, _identity(case.method, str(case.options.get("tuned", "")))) in twice
                for m in outcome.measurements
                if m.metric == "time"
            ]
            sides.append(collect(entries, lookup(self.policy.metrics, "", "time"), frozenset()) if entries else None)
        return contrast(*sides)

    def _row(self, variant: _Variant, cells: Mapping[str, Cell], *, suffix: bool) -> Row:
        failures = tuple(
            Failure(key=c.key, stage=c.stage, status=o.status, phase=o.phase, reason=o.reason, replicates=c.replicates)
            for _, c, o in sorted(variant.cases, key=lambda item: item[1].stage)
            if o.status != "ok"
        )
        worst = failures[0] if failures else None
        name = self.runs[variant.run].path.name
        chosen = next((o.chosen for _, _, o in variant.cases if o.chosen), {})
        own = {key: value for key, value in chosen.items() if key in variant.method.params}
        search = self.runs[variant.run].outcomes.get(variant.search)
        best = [m for m in search.measurements if "chosen" in m.flags] if search is not None else []
        return Row(
            method=replace(variant.method, params={**variant.method.params, **own}),
            chosen=chosen,
            edges=tuple(key for key in chosen if any(f"edge-{key}" in m.flags for m in best)),
            trials=len(search.measurements) if search is not None else 0,
            search=variant.search,
            label=(variant.method.label or variant.method.name) + (f" @{name.split('-')[0]}" if suffix else ""),
            run=name,
            status=worst.status if worst else "ok",
            reason=worst.reason if worst else "",
            key=worst.key if worst else variant.cases[0][1].key,
            cells=cells,
            failures=failures,
            stops=frozenset(o.stop for _, _, o in variant.cases if o.stop),
            changed=tuple(dict.fromkeys(name for _, _, o in variant.cases for name in o.state_leak)),
        )


def _identity(method: Instance, search: str = "") -> Identity:
    return method.name, tuple(sorted(method.params.items())), search


def _merge(known: list[_Variant], new: _Variant) -> bool:
    """Merge a later run's cases into the known ones, if they agree with them or complete them."""
    ours, theirs = known[-1].stages(), new.stages()
    shared = set(ours) & set(theirs)
    if any(ours[stage] != theirs[stage] for stage in shared):
        return False
    more = tuple(item for item in new.cases if item[1].stage not in shared)
    known[-1] = replace(known[-1], cases=known[-1].cases + more)
    return True


def _unlike(mark: Identity, baseline: Identity) -> str:
    names = ("task version", "seed", "threads", "file")
    return ", ".join(f"{name} {a} against {b}" for name, a, b in zip(names, mark, baseline, strict=True) if a != b)


def _rank(variant: _Variant, units: Units | None, direction: str) -> tuple[object, ...]:
    """Best first; then rows of partial sets, diverged ones last of them; then rows without a value."""
    label = variant.method.label
    if units is None:
        left_out = all(STATUSES[outcome.status].left_out for _, _, outcome in variant.cases)
        return 3 if left_out else 2, False, 0.0, label
    value = -units.value if direction == "higher" else units.value if direction == "lower" else 0.0
    if units.worth is not None:
        # Losses near 1 round to it; scores do not.
        value = units.worth.sense * units.worth.score
    return int(units.partial) + int("diverged" in units.flags) * 0.5, units.astray, value, label


def _warned(row: Mapping[str, Units], primary: str, share: float) -> dict[str, Units]:
    """The columns of a row; its scores flagged if a known share of all seeds may be missing among these."""
    metric = primary.partition("[")[0]
    return {
        key: replace(u, flags=u.flags | {"heavy-tail"})
        if u.metric == metric and u.kind == "replicates" and 0 < share < seeds.unseen(u.n)
        else u
        for key, u in row.items()
    }


def _marked(row: Mapping[str, Units], flag: str) -> dict[str, Units]:
    return {key: replace(u, flags=u.flags | {flag}) for key, u in row.items()}


def _columns(headline: Sequence[str], rows: Sequence[Row], primary: str) -> tuple[str, ...]:
    """The columns of a table: those of the headline.

    The own-scale loss beside another loss is shown at the budget that decides only, and a coordinate of a truth
    (`mse[of=NAME]`) only if the headline names it.
    """
    cells = {key: cell for row in rows for key, cell in row.cells.items()}
    found = {key: key if "of" in cell.labels else cell.metric for key, cell in cells.items()}
    label = primary.partition("[")[2]
    kept = [
        key
        for name in headline
        for key, metric in found.items()
        if metric == name and (name != "own-loss" or primary.startswith("own-loss") or key.partition("[")[2] == label)
    ]
    # A column that decides is shown even if every cell is empty: its reason is under the table.
    empty = [primary] if primary.partition("[")[0] in headline and "[" in primary and primary not in kept else []
    return (*empty, *kept)


def _cell(u: Units) -> Cell:
    return Cell(
        key=u.key, metric=u.metric, value=u.value, low=u.low, high=u.high, n=u.n, unit=u.unit, flags=u.flags,
        stage=u.stage, case_key=u.case_key, exact=u.exact, labels=u.labels, seeds=u.kind == "replicates",
        populations=u.populations,
    )  # fmt: skip


def _as_control(found: stats.Contrast | None) -> Control | None:
    if found is None:
        return None
    low, high = found.interval()
    return Control(ratio=math.exp(found.value), low=math.exp(low), high=math.exp(high), n=found.n)


def _detectable(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        for key, cell in row.cells.items():
            if cell.effect is not None and cell.effect.detectable is not None:
                found.setdefault(key, []).append(cell.effect.detectable)
    return {key: (min(values), max(values)) for key, values in found.items()}
