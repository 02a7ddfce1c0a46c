"""Names -> specs, with provenance: who registered what, which names collide, and what a name may have meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from ..api import (
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
from ..errors import PluginError, UnknownNameError
from . import conditions
from .core_claims import CORE_CLAIMS
from .metrics import CORE_METRICS
from .plugins import PluginRecord

Key = tuple[str, str]
"""(family, name)."""
ClaimKey = tuple[str, str, Of]
"""(family, name, what its check is given): one name may be checked of draws, of trainings and of subjects."""
Member = MethodSpec | TaskSpec | ClaimSpec | ReadingSpec | PublishedSpec


class Registry:
    """Every spec of every loaded plugin.

    A plugin whose name collides with an earlier one loses only that name: the collision is recorded against it in
    `problems`, and the first registration stands.

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
        self.metrics: dict[str, MetricSpec] = {spec.name: spec for spec in CORE_METRICS}
        self.reporters: dict[str, ReporterSpec] = {}
        self.commands: dict[str, CommandSpec] = {}
        self._owners: dict[tuple[str, object], str] = {("metric", name): "the core" for name in self.metrics}
        self._owners |= {("claim", key): "the core" for key in self.claims}
        self._aliases: dict[Key, str] = {}
        loaded = [record for record in self.records if record.status == "ok"]
        for record in loaded:
            for spec in record.of(FamilySpec):
                self._add("family", self.families, spec.name, spec, record)
        for record in loaded:
            self._add_members(record)
        for record in loaded:
            self._check_claimed(record)

    def _add_members(self, record: PluginRecord) -> None:
        members: list[tuple[str, dict[Any, Any], Iterable[Member]]] = [
            ("method", self.methods, record.of(MethodSpec)),
            ("task", self.tasks, record.of(TaskSpec)),
            ("claim", self.claims, record.of(ClaimSpec)),
            ("reading", self.readings, record.of(ReadingSpec)),
            ("published figure", self.published, record.of(PublishedSpec)),
        ]
        for kind, table, specs in members:
            for spec in specs:
                if spec.family not in self.families and not (kind == "claim" and not spec.family):
                    self._problem(record, f"{kind} {spec.name!r}: its family {spec.family!r} is not registered")
                elif self._readable(record, spec):
                    further = (spec.of,) if isinstance(spec, ClaimSpec) else ()
                    self._add(kind, table, (spec.family, spec.name, *further), spec, record)
        for spec in record.of(MethodSpec):
            for alias in spec.aliases:
                if (spec.family, alias) in self.methods or (spec.family, alias) in self._aliases:
                    self._problem(record, f"alias {alias!r} of method {spec.name!r} is taken already")
                else:
                    self._aliases[spec.family, alias] = spec.name
        for spec in record.of(MetricSpec):
            self._add("metric", self.metrics, spec.name, spec, record)
        for spec in record.of(ReporterSpec):
            self._add("reporter", self.reporters, spec.name, spec, record)
        for spec in record.of(CommandSpec):
            self._add("command", self.commands, spec.name, spec, record)

    def _readable(self, record: PluginRecord, spec: Member) -> bool:
        """Whether every expression of a spec can be evaluated; what is wrong with one is recorded."""
        try:
            if isinstance(spec, (MethodSpec, TaskSpec)):
                conditions.check_spec(spec)
        except PluginError as error:
            self._problem(record, str(error))
            return False
        return True

    def _check_claimed(self, record: PluginRecord) -> None:
        for spec in record.of(MethodSpec):
            for claimed in spec.claims:
                if self.claim(spec.family, claimed.name, *get_args(Of)) is None:
                    self._problem(record, f"method {spec.name!r} claims {claimed.name!r}, which nobody can check")

    def _add(
        self, kind: str, table: dict[Any, Any], key: str | tuple[str, ...], spec: object, record: PluginRecord
    ) -> None:
        owner = self._owners.get((kind, key))
        if owner is not None:
            name = key if isinstance(key, str) else "/".join(key)
            self._problem(record, f"duplicate name: {kind} {name!r} is registered by {owner} already")
            return
        table[key] = spec
        self._owners[kind, key] = record.name

    def _problem(self, record: PluginRecord, text: str) -> None:
        self.problems.setdefault(record.name, []).append(text)

    def owner(self, kind: str, key: object) -> str:
        """Name of the plugin that registered it."""
        return self._owners.get((kind, key), "")

    def family(self, name: str) -> FamilySpec:
        """The family of that name.

        Raises:
            UnknownNameError: no loaded plugin registered it; a broken plugin that might own it is named.
        """
        if name not in self.families:
            raise UnknownNameError("family", name, self.families, hint=self._broken_hint())
        return self.families[name]

    def claim(self, family: str, name: str, *given: Of) -> ClaimSpec | None:
        """The check of a claim that takes what is given: the family's own, or else the general one.

        Args:
            given: what a check may be given, the first that there is one for.
        """
        keys: list[ClaimKey] = [(owner, name, of) for owner in (family, "") for of in given]
        return next((self.claims[key] for key in keys if key in self.claims), None)

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
        """The error for a name that nobody registered, with near names and the broken plugins that might own it."""
        return UnknownNameError(kind, name, known, hint=self._broken_hint())
