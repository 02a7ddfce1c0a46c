"""What the methods of a package keep, as parameters of one test: one for each method, dtype and check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from .. import session
from ..api import MethodSpec
from ..catalog import selectors
from ..errors import UsageError
from ..plan.plan import Request, build_plan
from ..session.entry import Dtype
from . import kit
from .findings import Finding, complain
from .kit import DTYPES, Conduct


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One check of one method, which runs on demand.

    Args:
        subject: `family/method`.
        name: name of the check or claim.
        dtype: dtype of a claim; empty for what is read or built.
        conduct: how claims are checked.
    """

    subject: str
    name: str
    dtype: Dtype = ""
    conduct: Conduct

    def check(self) -> None:
        """Do nothing if it holds or cannot be decided.

        Raises:
            AssertionError: it does not; the message says what to change.
        """
        run = _measured if self.dtype else _declared
        complain(found for found in run(self.subject, self.conduct) if found.check == self.name)

    def __str__(self) -> str:
        """The id of the test: `half-rloo-float32-unbiased`."""
        return "-".join(filter(None, (self.subject.partition("/")[2], self.dtype, self.name)))


def kexue_methods(
    package: str,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    tasks: str | Sequence[str] = (),
    plugins: str | Sequence[str] = (),
) -> list[Promise]:
    """Every check of every method of a package; nothing is imported or run before `check` is called.

    Args:
        package: name of a plugin, of its distribution or of its package.
        dtypes: dtypes in which claims are checked.
        tasks: selectors of the tasks on which they are checked; empty means those of `kexue-bench verify`.
        plugins: modules or files of plugins that are not installed.

    Raises:
        UsageError: there is no such package, it has no methods, or none of them fits a task.
    """
    given = [(value,) if isinstance(value, str) else tuple(value) for value in (tasks, plugins)]
    conduct = Conduct(tasks=given[0], plugins=given[1])
    registry, hooks = session.load(conduct.plugins)
    specs = kit.owned(MethodSpec, kit.records_of(package, registry), registry)
    if not specs:
        raise UsageError(f"the package {package!r} has no methods", do="see `kexue-bench plugins`")
    subjects = [f"{spec.family}/{spec.name}" for spec in specs]
    names = ("target", "docstring", "knobs", "contract", "frozen", "pickling", "deepcopy")
    promises = [Promise(subject=subject, name=name, conduct=conduct) for subject in subjects for name in names]
    for dtype in dtypes:
        request = Request(
            # The faults of other families are not its own.
            families=tuple(sorted({spec.family for spec in specs})),
            methods=selectors.read(subjects),
            tasks=selectors.read(conduct.tasks),
            stages=("verify",),
            dtype=dtype,
        )
        cases = [case for job in build_plan(request, registry, hooks).jobs for case in job.cases]
        planned = [(f"{case.family}/{case.method.name}", case.claim) for case in cases]
        planned += [(subject, "global-state") for subject, _ in planned]
        part = replace(conduct, dtypes=(dtype,))
        promises += [
            Promise(subject=subject, name=name, dtype=dtype, conduct=part) for subject, name in dict.fromkeys(planned)
        ]
    return promises


@cache
def _measured(subject: str, conduct: Conduct) -> tuple[Finding, ...]:
    return tuple(kit.claims([subject], conduct))


@cache
def _declared(subject: str, conduct: Conduct) -> tuple[Finding, ...]:
    registry, _ = session.load(conduct.plugins)
    family, _, name = subject.partition("/")
    return tuple(kit.declared(registry.methods[family, name], registry))
