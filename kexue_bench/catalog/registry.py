"""Names -> specs, with provenance: who registered what, which names clash, and suggestions for unknown names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from ..api import (
    SUITES,
    ClaimSpec,
    CommandSpec,
    FamilySpec,
    MethodSpec,
    MetricSpec,
    Of,
    PublishedSpec,
    ReadingSpec,
    ReporterSpec,
    TaskSpec,
)
from ..errors import PluginError, UnknownNameError, UsageError, suggestion
from . import conditions, selectors
from .core_claims import CORE_CLAIMS, COST
from .fields import Field, fields_of
from .metrics import CORE_METRICS, keyed
from .plugins import PluginRecord

Key = tuple[str, str]
"""(family, name)."""
ClaimKey = tuple[str, str, Of]
"""(family, name, what its check is given): one name may have checks for draws, trainings and subjects."""
Member = MethodSpec | TaskSpec | ClaimSpec | ReadingSpec | PublishedSpec | MetricSpec
CORE = "the core"
NAME = re.compile(r"[a-z0-9]+([-+._]+[a-z0-9]+)*[+]*")


class Registry:
    """Every spec of every loaded plugin.

    If a name is taken, a plugin loses only that name; the clash is recorded in `problems`. The plugin that registers
    a family keeps its names in that family whatever the order of plugins, and the core keeps its own; between two other
    plugins the first registration is kept.

    Args:
        records: loaded plugins, in order of precedence.
    """

    def __init__(self, records: Sequence[PluginRecord]) -> None:
        self.records = tuple(records)
        self.problems: dict[str, list[str]] = {}
        self.families: dict[str, FamilySpec] = {}
        self.methods: dict[Key, MethodSpec] = {}
        self.tasks: dict[Key, TaskSpec] = {}
        self.claims: dict[ClaimKey, ClaimSpec] = {("", spec.name, spec.of): spec for spec in CORE_CLAIMS}
        self.readings: dict[Key, ReadingSpec] = {}
        self.published: dict[Key, PublishedSpec] = {}
        self.metrics: dict[Key, MetricSpec] = keyed(CORE_METRICS)
        self.reporters: dict[str, ReporterSpec] = {}
        self.commands: dict[str, CommandSpec] = {}
        self._owners: dict[tuple[str, object], str] = {("metric", key): CORE for key in self.metrics}
        self._owners |= {("claim", key): CORE for key in self.claims}
        self._aliases: dict[Key, str] = {}
        loaded = [record for record in self.records if record.status == "ok"]
        for record in self.records:
            if record.changed:
                what = ", ".join(record.changed)
                self._problem(record, f"loading it changed {what}, which was put back; do that where it is needed")
        self._keepers: dict[str, PluginRecord] = {}
        for record in loaded:
            for spec in record.of(FamilySpec):
                if not NAME.fullmatch(spec.name):
                    self._problem(record, _misnamed("family", spec.name))
                    continue
                self._add("family", self.families, spec.name, spec, record)
                self._keepers.setdefault(spec.name, record)
        for record in loaded:
            self._add_members(record, own=True)
        for record in loaded:
            self._add_members(record, own=False)
            for spec in record.of(ReporterSpec):
                self._add("reporter", self.reporters, spec.name, spec, record)
            for spec in record.of(CommandSpec):
                self._add("command", self.commands, spec.name, spec, record)
        for record in loaded:
            self._check_based(record)
            self._check_claimed(record)
            self._check_needed(record)
            self._check_suited(record)

    @property
    def complaints(self) -> tuple[str, ...]:
        """Problems of installed and loaded plugins, one line each; blocked plugins were left out on purpose."""
        broken = [f"plugin {record.name}: {record.reason}" for record in self.records if record.status == "broken"]
        return (*broken, *(f"plugin {name}: {text}" for name, texts in self.problems.items() for text in texts))

    def _add_members(self, record: PluginRecord, *, own: bool) -> None:
        """Register what a plugin has for its own families, or everything else."""

        def wanted(spec: Member) -> bool:
            return (self._keepers.get(spec.family) is record) == own

        members: list[tuple[str, dict[Any, Any], Iterable[Member]]] = [
            ("method", self.methods, record.of(MethodSpec)),
            ("task", self.tasks, record.of(TaskSpec)),
            ("claim", self.claims, record.of(ClaimSpec)),
            ("reading", self.readings, record.of(ReadingSpec)),
            ("published figure", self.published, record.of(PublishedSpec)),
            ("metric", self.metrics, _with_family(record)),
        ]
        for kind, table, specs in members:
            for spec in filter(wanted, specs):
                if self._welcome(kind, spec, record):
                    further = (spec.of,) if isinstance(spec, ClaimSpec) else ()
                    self._add(kind, table, (spec.family, spec.name, *further), spec, record)
        for spec in filter(wanted, record.of(MethodSpec)):
            for alias in spec.aliases if self.owner("method", (spec.family, spec.name)) == record.name else ():
                if (spec.family, alias) in self.methods or (spec.family, alias) in self._aliases:
                    self._problem(record, f"alias {alias!r} of method {spec.name!r} is already taken")
                else:
                    self._aliases[spec.family, alias] = spec.name

    def _welcome(self, kind: str, spec: Member, record: PluginRecord) -> bool:
        """Whether a spec can be registered, if its name is free; problems are recorded."""
        if kind in {"method", "task"} and not NAME.fullmatch(spec.name):
            self._problem(record, _misnamed(kind, spec.name))
            return False
        if isinstance(spec, MetricSpec) and not spec.family:
            families = " or ".join(sorted(_families_of(record))) or "the name of one"
            self._problem(record, f"metric {spec.name!r} needs its family: write family= {families}")
            return False
        if spec.family not in self.families and not (kind == "claim" and not spec.family):
            found = suggestion(spec.family, self.families)
            text = f"{kind} {spec.name!r}: its family {spec.family!r} is not registered"
            self._problem(record, text + (f"; {found}" if found else ""))
            return False
        if isinstance(spec, MetricSpec) and ("", spec.name) in self.metrics:
            self._problem(
                record, f"metric {spec.name!r} belongs to the core and is shared by all families; choose another name"
            )
            return False
        owned = self._keepers.get(spec.family) is record
        if isinstance(spec, ClaimSpec) and spec.family and not owned and ("", spec.name, spec.of) in self.claims:
            self._problem(
                record,
                f"claim {spec.name!r} belongs to the core; only the plugin of a family may override its check there",
            )
            return False
        if isinstance(spec, MethodSpec) and (spec.family, spec.name) in self._aliases:
            other = self._aliases[spec.family, spec.name]
            self._problem(record, f"method {spec.name!r} has a name that is already an alias of {other!r}")
            return False
        return self._readable(record, spec)

    def _readable(self, record: PluginRecord, spec: Member) -> bool:
        """Whether every expression and selector of a spec can be read; problems are recorded."""
        try:
            if isinstance(spec, (MethodSpec, TaskSpec)):
                conditions.check_spec(spec)
            for text in _selectors_of(spec):
                selectors.parse(text)
            if isinstance(spec, TaskSpec):
                for texts in spec.methods.values():
                    selectors.read((texts,) if isinstance(texts, str) else texts)
        except UsageError as error:
            whose = "" if isinstance(error, PluginError) else f"{type(spec).__name__} {spec.name!r}: "
            self._problem(record, f"{whose}{error}")
            return False
        return True

    def based(self, family: str) -> bool:
        """Whether the baseline of a family is a method, without which its methods cannot be compared."""
        known = [*self.methods_of(family), *self.aliases_of(family)]
        try:
            return bool(selectors.matches(selectors.parse(self.families[family].baseline), known))
        except UsageError:
            return False

    def _check_based(self, record: PluginRecord) -> None:
        for spec in record.of(FamilySpec):
            compared = (
                self._keepers.get(spec.name) is record and self.methods_of(spec.name) and self.tasks_of(spec.name)
            )
            if compared and not self.based(spec.name):
                found = suggestion(spec.baseline, self.methods_of(spec.name))
                text = f"family {spec.name!r}: its baseline {spec.baseline!r} is not a method, so no suite runs it"
                self._problem(record, text + (f"; {found}" if found else ""))

    def _check_claimed(self, record: PluginRecord) -> None:
        for spec in record.of(MethodSpec):
            for claimed in spec.claims:
                if self.claim(spec.family, claimed.name, *get_args(Of)) is None:
                    found = suggestion(
                        claimed.name, {name for family, name, _ in self.claims if family in {"", spec.family}}
                    )
                    text = f"method {spec.name!r}: no check is registered for its claim {claimed.name!r}"
                    self._problem(record, text + (f"; {found}" if found else ""))

    def _check_needed(self, record: PluginRecord) -> None:
        for spec in record.of(MethodSpec):
            offered = {word for task in self.tasks_of(spec.family).values() for word in task.offers}
            for word in sorted(spec.needs - offered) if spec.family in self.families else ():
                found = suggestion(word, offered)
                text = f"method {spec.name!r}: needs {word!r}, which no task of {spec.family!r} offers"
                self._problem(record, text + (f"; {found}" if found else ""))

    def _check_suited(self, record: PluginRecord) -> None:
        for spec in record.of(MethodSpec):
            tasks = self.tasks_of(spec.family)
            for suite, texts in spec.suites.items():
                found = "" if suite in SUITES else suggestion(suite, SUITES) or f"one of {', '.join(SUITES)}"
                if found:
                    self._problem(record, f"method {spec.name!r}: there is no suite {suite!r}; {found}")
                for name in (selectors.parse(text).name for text in texts):
                    if not selectors.matches(selectors.parse(name), tasks):
                        found = suggestion(name, tasks)
                        text = f"method {spec.name!r}: its suite {suite!r} names {name!r}, which is not a task of "
                        self._problem(record, f"{text}{spec.family!r}" + (f"; {found}" if found else ""))

    def _add(
        self, kind: str, table: dict[Any, Any], key: str | tuple[str, ...], spec: object, record: PluginRecord
    ) -> None:
        owner = self._owners.get((kind, key))
        if owner is not None:
            name = key if isinstance(key, str) else "/".join(key)
            self._problem(record, f"duplicate name: {kind} {name!r} is already registered by {owner}")
            return
        table[key] = spec
        self._owners[kind, key] = record.name

    def _problem(self, record: PluginRecord, text: str) -> None:
        self.problems.setdefault(record.name, []).append(text)

    def owner(self, kind: str, key: object) -> str:
        """Name of the plugin that registered the spec."""
        return self._owners.get((kind, key), "")

    def fields(self, spec: MethodSpec | TaskSpec) -> tuple[Field, ...]:
        """The hyper-parameters of a method or task; none if its target cannot be read (see `fault`)."""
        return () if self.fault(spec) else fields_of(spec)

    def fault(self, spec: MethodSpec | TaskSpec) -> str:
        """Why the target of a method or task cannot be read; empty if it can be. Imports nothing."""
        try:
            fields_of(spec)
        except PluginError as error:
            return str(error)
        return ""

    def family(self, name: str) -> FamilySpec:
        """The family of that name.

        Raises:
            UnknownNameError: no loaded plugin registered it; broken plugins, which might own it, are named.
        """
        if name not in self.families:
            raise UnknownNameError("family", name, self.families, hint=self._broken_hint())
        return self.families[name]

    def claim(self, family: str, name: str, *given: Of) -> ClaimSpec | None:
        """The check of a claim: the family's own, or else the general one.

        Args:
            given: what a check may be given, in order of preference.
        """
        keys: list[ClaimKey] = [(owner, name, of) for owner in (family, "") for of in given]
        return next((self.claims[key] for key in keys if key in self.claims), None)

    def claimants(self, claim: ClaimSpec) -> tuple[MethodSpec, ...]:
        """The methods that make a claim: all of its family if it is a promise; a declared cost is a claim too."""

        def makes(spec: MethodSpec) -> bool:
            priced = claim.name == COST and spec.cost and self.families[spec.family].work
            return claim.always or bool(priced) or claim.name in {claimed.name for claimed in spec.claims}

        return tuple(spec for spec in self.methods.values() if claim.family in {"", spec.family} and makes(spec))

    def metric(self, family: str, name: str) -> MetricSpec | None:
        """The metric of that name in the tables of a family: its own, or else the core's."""
        return self.metrics.get((family, name)) or self.metrics.get(("", name))

    def metrics_named(self, text: str) -> dict[str, MetricSpec]:
        """Family -> metric: every owner of `name` (the core under the empty name), or for `family/name` that family.

        Raises:
            UnknownNameError: no family has such a metric.
        """
        family, _, name = text.rpartition("/")
        if family:
            self.family(family)
            found = self.metric(family, name)
            if found is None:
                own = [other for owner, other in self.metrics if owner in {"", family}]
                raise self.unknown(f"metric of family {family!r}", name, own)
            return {family: found}
        owners = {owner: spec for (owner, other), spec in self.metrics.items() if other == name}
        if not owners:
            raise self.unknown("metric", text, {other for _, other in self.metrics})
        return owners

    def methods_of(self, family: str) -> Mapping[str, MethodSpec]:
        """Name -> method of one family, in order of registration."""
        return {name: spec for (owner, name), spec in self.methods.items() if owner == family}

    def tasks_of(self, family: str) -> Mapping[str, TaskSpec]:
        """Name -> task of one family, in order of registration."""
        return {name: spec for (owner, name), spec in self.tasks.items() if owner == family}

    def real_name(self, family: str, method: str) -> str:
        """The method's name, an alias resolved."""
        return self._aliases.get((family, method), method)

    def aliases_of(self, family: str) -> Mapping[str, str]:
        """Alias -> method name of one family."""
        return {alias: name for (owner, alias), name in self._aliases.items() if owner == family}

    def _broken_hint(self) -> str:
        broken = [record.name for record in self.records if record.status != "ok"]
        return f"not loaded: {', '.join(broken)} (see `kexue-bench plugins`)" if broken else ""

    def unknown(self, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """The error for a name that is not registered, with similar names and the broken plugins that might own it."""
        return UnknownNameError(kind, name, known, hint=self._broken_hint())


def _misnamed(kind: str, name: str) -> str:
    return f"{kind} {name!r}: a name has lower-case letters and digits, with '-', '+', '.' or '_' between them"


def _selectors_of(spec: Member) -> Iterator[str]:
    """The single selectors that a spec carries as text; parsed once, here, and never again."""
    match spec:
        case MethodSpec():
            yield from spec.variants
            for texts in spec.suites.values():
                yield from texts
        case TaskSpec():
            for texts in spec.suites.values():
                yield from texts
            yield from filter(None, (spec.baseline,))
        case PublishedSpec():
            yield from filter(None, (spec.task, spec.method, spec.against))


def _families_of(record: PluginRecord) -> set[str]:
    """The families that a plugin registers or extends."""
    parts = (MethodSpec, TaskSpec, ClaimSpec, ReadingSpec, PublishedSpec)
    extended = {spec.family for kind in parts for spec in record.of(kind) if spec.family}
    return {spec.name for spec in record.of(FamilySpec)} | extended


def _with_family(record: PluginRecord) -> Iterator[MetricSpec]:
    """A plugin's metrics; one that names no family belongs to the one that the plugin registers or extends."""
    families = _families_of(record)
    for spec in record.of(MetricSpec):
        yield replace(spec, family=next(iter(families))) if not spec.family and len(families) == 1 else spec
