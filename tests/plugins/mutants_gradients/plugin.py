"""Registration: three methods that claim to be unbiased and are not, and one that is."""

from __future__ import annotations

import pluggy

from kexue_bench.api import Claimed, MethodSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")

MUTANTS = {
    "rebar-without-slope": ("RebarWithoutSlope", "rebar with the conditional noise held fixed", "3", "differentiable"),
    "arm-independent": ("ArmIndependent", "arm with another uniform in each evaluation", "2", "bernoulli"),
    "rloo-own-sample": ("RlooOwnSample", "rloo whose baseline is the mean of all draws", "2", "bernoulli"),
    "rloo-honest": ("RlooHonest", "rloo as it should be", "2", "bernoulli"),
}


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """All of them claim to be unbiased."""
    return [
        MethodSpec(
            name=name,
            family="gradients",
            target=f"mutants_gradients.methods:{target}",
            summary=summary,
            claims=(Claimed(name="unbiased"),),
            cost=cost,
            needs=frozenset({"bernoulli", need}),
        )
        for name, (target, summary, cost, need) in MUTANTS.items()
    ]
