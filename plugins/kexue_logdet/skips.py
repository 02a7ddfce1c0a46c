"""Which cases make no sense although every word fits, and why; decided before anything runs, without torch."""

from __future__ import annotations

from collections.abc import Mapping

from kexue_bench.api import Case, Scalar
from kexue_bench.conditions import amount

from .method_specs import GRADIENTS, INVERSES, METHODS, TRACES
from .task_specs import TASKS

DENSE = 2**14
"""Rows of the largest matrix that `exact` factors without entries."""
ROWS = {"breast_cancer": 569, "digits": 1797, "iris": 150, "wine": 178}
_COSTS = {spec.name: spec.cost for spec in METHODS}
_OFFERS = {spec.name: spec.offers for spec in TASKS if "spd" in spec.offers}
_SPARSE = frozenset({"grid-laplacian", "large-grid", "bidiagonal-gram", "large-gram", "gram-inverse"})


def reason(case: Case) -> str | None:
    """Why a method of this plugin leaves an SPD task out; None where it does not, or where either is a stranger's."""
    name, task = case.method.name, case.task.name
    if name not in _COSTS or task not in _OFFERS or case.method.source != case.task.source:
        return None
    return _unfit(name, case.task.params, _OFFERS[task]) or _unaffordable(case)


def _unfit(name: str, params: Mapping[str, Scalar], offers: frozenset[str]) -> str | None:
    if "gradient" in offers:
        return None if name in GRADIENTS else "gives no gradient"
    wanted = "trace" if "traces" in offers else str(params.get("target", "logdet"))
    if wanted == "trace" and name not in TRACES:
        return "estimates log-determinants, and a trace is wanted"
    if wanted == "inverse" and name not in INVERSES:
        return "knows no trace of an inverse"
    if wanted == "logdet" and name == "hutchinson":
        return "estimates traces, and a log-determinant is wanted"
    needs = next(spec.needs for spec in METHODS if spec.name == name)
    if params.get("bounds") == "none" and "bounded" in needs and wanted == "logdet":
        return "needs a bound of the spectrum, and the task tells none"
    return None


def _unaffordable(case: Case) -> str | None:
    params = case.task.params
    rows = _rows(params)
    budget = int(params["budget"] if "budget" in params else params["last"]) or rows
    if case.method.name == "exact":
        entries = case.task.name in _SPARSE and params.get("target") != "inverse"
        if entries and case.method.params.get("via") == "auto":
            return None
        if rows > DENSE:
            return f"a dense factorisation takes at most {DENSE} rows, and the task has {rows}"
        products = float(rows)
    elif "last" in params:
        return None  # a sweep gives methods their size
    else:
        offers = _OFFERS[case.task.name]
        products = amount(_COSTS[case.method.name], fields=case.method.params, task=params, offers=offers)
    return f"an estimate costs {products:g} products, and the task allows {budget}" if products > budget else None


def _rows(params: Mapping[str, Scalar]) -> int:
    if "side" in params:
        return int(params["side"]) ** int(params.get("dim", 2))
    if "sites" in params:
        return 2 ** int(params["sites"])
    return int(params["n"]) if "n" in params else ROWS[str(params["dataset"])]
