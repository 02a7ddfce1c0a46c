"""The gallery of mutants: methods of every family with one line changed, and what `verify` says about them.

`tests/gallery/FAMILY.toml` lists them. A mutant is applied in place: the changed file is compiled, and its functions
lend their code to those of the real module until the check is over. `python -m gallery` (with `tests/support` and the
plugins on the path) checks every claim of every mutant on every verification point and writes what it found:
`tests/gallery/found.json`, and the tables of `docs/verify.md`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import sys
import time
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from kexue_bench.api import Case
from kexue_bench.catalog.core_claims import decide
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.lab import stages
from kexue_bench.lab.context import Context
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.run import worker

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "gallery"
FOUND = FOLDER / "found.json"
PAGE = ROOT / "docs" / "verify.md"
FAMILIES = ("gradients", "logdet", "f1", "orthogonality", "smoothing", "energy", "averaging", "samplers")
START, END = "<!-- gallery -->", "<!-- end of gallery -->"
SLOW = 2.0
"""Seconds beyond which the check of a mutant is left out of the default tests."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A method with one piece of its code changed.

    Args:
        family: its family.
        name: what is wrong, in a few words.
        kind: kind of method, a group of the table.
        method: selector of a method that runs the changed code.
        file: the file, relative to the family's package.
        old: what stands there, once.
        new: what stands there instead.
        why: for one that breaks no claim, the reason.
    """

    family: str
    name: str
    kind: str
    method: str
    file: str
    old: str
    new: str
    why: str = ""

    @property
    def key(self) -> str:
        """Unique over all families."""
        return f"{self.family}: {self.name}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `verify` says of a mutant.

    Args:
        said: `caught`, `undecidable` (every claim passes, and a reason is given why they are still true) or `missed`.
        claim: the first claim that fails, the method's own claims before the promises of all.
        task: and where.
        seconds: of that check.
    """

    said: str
    claim: str = ""
    task: str = ""
    seconds: float = 0.0


def mutants(family: str) -> list[Mutant]:
    """The mutants of a family."""
    listed = tomllib.loads((FOLDER / f"{family}.toml").read_text(encoding="utf-8"))["mutant"]
    return [Mutant(family=family, **entry) for entry in listed]


def every() -> list[Mutant]:
    """All mutants, families in order."""
    return [mutant for family in FAMILIES for mutant in mutants(family)]


@cache
def registry() -> Registry:
    """The families as they are installed."""
    return Registry(load_plugins([]))


@cache
def cases(family: str, method: str) -> tuple[Case, ...]:
    """What `verify` checks in quick, the method's own claims first and sampled draws last."""
    request = Request(families=(family,), methods=(method,), stages=("verify",))
    found = [case for job in build_plan(request, registry()).jobs for case in job.cases]
    own = [case for case in found if not case.options["check"].startswith("kexue_bench.lab.promises")]
    promises = {spec.name for spec in registry().claims.values() if spec.always}
    return tuple(sorted(own, key=lambda case: case.claim in promises))


@contextlib.contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The mutant in place of the real code."""
    package = registry().families[mutant.family].contract.partition(".")[0]
    name = f"{package}.{mutant.file.removesuffix('.py').replace('/', '.')}"
    real = importlib.import_module(name)
    path = Path(real.__file__ or "")
    source = path.read_text(encoding="utf-8")
    if source.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.key}: {mutant.old!r} must stand once in {mutant.file}, got {source.count(mutant.old)}"
        )
    changed = types.ModuleType(name)
    changed.__file__, changed.__package__ = str(path), name.rpartition(".")[0]
    code = compile(source.replace(mutant.old, mutant.new), str(path), "exec")
    try:
        # Dataclasses look their module up by name.
        sys.modules[name] = changed
        exec(code, changed.__dict__)
    finally:
        sys.modules[name] = real
    swapped = []
    for mine, other in _pairs(real, changed, name):
        if mine.__code__ != other.__code__:
            swapped.append((mine, mine.__code__))
            mine.__code__ = other.__code__
    if not swapped:
        raise ValueError(f"{mutant.key}: no function of {mutant.file} changed")
    try:
        yield
    finally:
        for function, before in swapped:
            function.__code__ = before


def _pairs(real: object, changed: object, module: str) -> Iterator[tuple[types.FunctionType, types.FunctionType]]:
    """Functions of two modules or classes with the same name, one in each."""
    for name, value in vars(real).items():
        other = vars(changed).get(name)
        if inspect.isclass(value) and value.__module__ == module and inspect.isclass(other):
            yield from _pairs(value, other, module)
            continue
        mine, theirs = (_function(each) for each in (value, other))
        if mine is not None and theirs is not None and mine.__module__ == module:
            yield mine, theirs


def _function(value: object) -> types.FunctionType | None:
    value = getattr(value, "func", None) or getattr(value, "fget", None) or getattr(value, "__func__", None) or value
    value = inspect.unwrap(value) if callable(value) else value
    return value if isinstance(value, types.FunctionType) else None


def checked(mutant: Mutant, *, only: Verdict | None = None) -> Verdict:
    """Check the claims of a mutant until one fails.

    Args:
        only: check this claim on this task and nothing else.
    """
    left = True
    for case in cases(mutant.family, mutant.method):
        if only is not None and (case.claim, case.task.label) != (only.claim, only.task):
            continue
        begun = time.perf_counter()
        said = _under(mutant, case)
        if said in {"FAIL", "ERROR"}:
            spent = time.perf_counter() - begun
            return Verdict(said="caught", claim=case.claim, task=case.task.label, seconds=round(spent, 2))
        left = left and said == "PASS"
    return Verdict(said="undecidable" if mutant.why and left else "missed")


def _under(mutant: Mutant, case: Case) -> str:
    """The verdict on a mutant, `ERROR` if its check ends with one that the real method does not cause."""
    with torch.no_grad():
        try:
            with applied(mutant):
                return verdict(case)
        except Exception:  # noqa: BLE001  # whatever a mutant does
            verdict(case)
            return "ERROR"


def verdict(case: Case) -> str:
    """What a check says of the method as it is now."""
    ctx = Context(case)
    stages.verify(worker.build(case.task), worker.build(case.method), ctx)
    (evidence,) = ctx.measurements
    return decide(evidence)  # pyright: ignore[reportArgumentType]  # what checks return


def found() -> dict[str, Verdict]:
    """Key of a mutant -> what the last full run said."""
    return {key: Verdict(**value) for key, value in json.loads(FOUND.read_text(encoding="utf-8")).items()}


def page(verdicts: dict[str, Verdict]) -> str:
    """The tables of `docs/verify.md`."""
    total = [mutant for mutant in every() if mutant.key in verdicts]
    counts = {said: sum(verdicts[m.key].said == said for m in total) for said in ("caught", "missed", "undecidable")}
    lines = [f"{len(total)} mutants: " + ", ".join(f"{count} {said}" for said, count in counts.items()) + ".", ""]
    for family in FAMILIES:
        lines += [f"### {family}", "", "| kind | what is wrong | method | verdict |", "|---|---|---|---|"]
        for mutant in mutants(family):
            verdict = verdicts[mutant.key]
            said = f"caught by `{verdict.claim}` on `{verdict.task}`"
            if verdict.said != "caught":
                said = f"**{verdict.said}**: {mutant.why}"
            lines.append(f"| {mutant.kind} | {mutant.name} | `{mutant.method}` | {said} |")
        lines.append("")
    return "\n".join(lines)


def written(text: str, verdicts: dict[str, Verdict]) -> str:
    """A page with new tables between its marks."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n{page(verdicts)}{END}{rest.partition(END)[2]}"


def main(families: list[str]) -> None:
    """Check everything and write what was found."""
    torch.set_num_threads(1)
    verdicts = found() if FOUND.exists() else {}
    verdicts = {mutant.key: verdicts[mutant.key] for mutant in every() if mutant.key in verdicts}
    for mutant in [mutant for family in families or FAMILIES for mutant in mutants(family)]:
        verdicts[mutant.key] = found_now = checked(mutant)
        line = f"{found_now.said:11} {mutant.key}: {found_now.claim} {found_now.task} {found_now.seconds} s"
        print(line, flush=True)  # noqa: T201  # a script
    ordered = {mutant.key: vars(verdicts[mutant.key]) for mutant in every() if mutant.key in verdicts}
    FOUND.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    if len(ordered) == len(every()):
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
