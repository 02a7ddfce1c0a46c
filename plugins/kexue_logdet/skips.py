"""Which cases make no sense although every word fits, and why; decided before anything runs, without torch."""

from __future__ import annotations

from collections.abc import Mapping

from kexue_bench.api import Case, Scalar
from kexue_bench.catalog.conditions import Scope, amount

from . import competitor_specs
from .method_specs import GRADIENTS, INVERSES, METHODS, TRACES
from .task_specs import TASKS

DENSE = 2**14
"""Rows of the largest matrix that `exact` factors without entries."""
ROWS = {"breast_cancer": 569, "digits": 1797, "iris": 150, "wine": 178}
_SPECS = {spec.name: spec for spec in (*METHODS, *competitor_specs.METHODS)}
_COSTS = {name: spec.cost for name, spec in _SPECS.items()} | {
    "imate": "steps * probes",
    "one-probe-slq": "rank + steps * most",
}
"""What an estimate may cost at most; that of imate is not counted, but held to the budget by its own numbers."""
_OWN_OPERATOR = ("small-determinant", "exact-at")
"""Claims that are checked on an operator of their own, whatever the task's budget."""
_OFFERS = {spec.name: spec.offers for spec in TASKS if "spd" in spec.offers}


def reason(case: Case) -> str | None:
    """Why a method of this plugin leaves an SPD task out; None where it does not, or where either is a stranger's."""
    name, task = case.method.name, case.task.name
    if name not in _COSTS or task not in _OFFERS or case.method.source != case.task.source:
        return None
    unfit = _unfit(name, case.task.params, _OFFERS[task])
    return unfit or (None if case.claim.startswith(_OWN_OPERATOR) else _unaffordable(case))


def _unfit(name: str, params: Mapping[str, Scalar], offers: frozenset[str]) -> str | None:
    if "gradient" in offers:
        return None if name in GRADIENTS else "gives no gradient"
    wanted = "trace" if "traces" in offers else str(params.get("target", "logdet"))
    if wanted == "trace" and name not in TRACES:
        return "estimates log-determinants, and a trace is wanted"
    if wanted == "inverse" and name not in INVERSES:
        return "knows no trace of an inverse"
    if wanted == "logdet" and name in {"hutchinson", "curvlinops"}:
        return "estimates traces, and a log-determinant is wanted"
    if params.get("bounds") == "none" and "bounded" in _SPECS[name].needs and wanted == "logdet":
        return "needs a bound of the spectrum, and the task tells none"
    return None


def _unaffordable(case: Case) -> str | None:
    params = case.task.params
    rows = _rows(params)
    budget = int(params["budget"] if "budget" in params else params["last"]) or rows
    if case.method.name == "exact":
        entries = "entries" in _OFFERS[case.task.name] and params.get("target") != "inverse"
        if entries and case.method.params.get("via") == "auto":
            return None
        if rows > DENSE:
            return f"a dense factorisation takes at most {DENSE} rows, and the task has {rows}"
        products = float(rows)
    elif "last" in params:
        return None  # a sweep gives methods their size
    else:
        offers = _OFFERS[case.task.name]
        products = amount(_COSTS[case.method.name], Scope(fields=case.method.params, task=params, offers=offers))
    return f"an estimate costs {products:g} products, and the task allows {budget}" if products > budget else None


def _rows(params: Mapping[str, Scalar]) -> int:
    if "side" in params:
        return int(params["side"]) ** int(params.get("dim", 2))
    if "sites" in params:
        return 2 ** int(params["sites"])
    return int(params["n"]) if "n" in params else ROWS[str(params["dataset"])]
