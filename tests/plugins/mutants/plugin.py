"""Deliberately broken methods, as a stranger would register them; each declares something that is not true of it."""

from __future__ import annotations

import pluggy

from kexue_bench.api import Claimed, MethodSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")

_UNBIASED = (Claimed(name="unbiased"),)

# Method -> the claim that must fail.
BREAKS = {
    "own-baseline": "unbiased",
    "st-unbiased": "unbiased",
    "divides-by-draw": "finite-variance",
    "never-the-same": "repeatable",
    "seeds-globally": "own-stream",
    "draws-globally": "own-stream",
    "mutates-logits": "pure",
    "sets-default-dtype": "pure",
    "doubles-dtype": "shape-and-dtype",
    "sometimes-nan": "finite",
    "shared-draw": "independent-rows",
    "antithetic-rows": "independent-rows",
    "knows-its-rows": "independent-rows",
    "constant-in-name": "deterministic",
    "free-second-draw": "declared-cost",
    "four-thirds": "declared-cost",
    "no-reorthogonalisation": "exact-at(steps=n)",
    "too-few-probes": "exact-at(probes=n)",
    "sunk-bound": "upper-bound",
    "raised-bound": "lower-bound",
}


def _gradients(name: str, target: str, **spec: object) -> MethodSpec:
    return MethodSpec(name=name, family="gradients", target=f"mutants.gradients:{target}", summary=name, **spec)


def _logdet(name: str, target: str, **spec: object) -> MethodSpec:
    return MethodSpec(
        name=name, family="logdet", target=f"mutants.logdet:{target}", summary=name, needs=frozenset({"spd"}), **spec
    )


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """One method for each way to break a promise."""
    return [
        _gradients("own-baseline", "OwnBaseline", claims=_UNBIASED, cost="1"),
        _gradients("st-unbiased", "StUnbiased", claims=_UNBIASED, cost="1"),
        _gradients("divides-by-draw", "DividesByDraw", claims=(Claimed(name="finite-variance"),)),
        _gradients("never-the-same", "NeverTheSame"),
        _gradients("seeds-globally", "SeedsGlobally"),
        _gradients("draws-globally", "DrawsGlobally"),
        _gradients("mutates-logits", "MutatesLogits"),
        _gradients("sets-default-dtype", "SetsDefaultDtype"),
        _gradients("doubles-dtype", "DoublesDtype"),
        _gradients("sometimes-nan", "SometimesNan"),
        _gradients("shared-draw", "SharedDraw"),
        _gradients("antithetic-rows", "AntitheticRows"),
        _gradients("knows-its-rows", "KnowsItsRows"),
        _gradients("constant-in-name", "ConstantInName", claims=(Claimed(name="deterministic"),)),
        _gradients("free-second-draw", "FreeSecondDraw", claims=_UNBIASED, cost="1"),
        _gradients("raises", "Raises"),
        _logdet("four-thirds", "FourThirds", cost="probes"),
        _logdet("no-reorthogonalisation", "NoReorthogonalisation", claims=(Claimed(name="exact-at(steps=n)"),)),
        _logdet("too-few-probes", "TooFewProbes", claims=(Claimed(name="exact-at(probes=n)"),)),
        _logdet("sunk-bound", "SunkBound", claims=(Claimed(name="upper-bound"),)),
        _logdet("raised-bound", "RaisedBound", claims=(Claimed(name="lower-bound"),)),
    ]
