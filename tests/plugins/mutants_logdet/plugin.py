"""Registration: what the driver imports."""

from __future__ import annotations

import pluggy

from kexue_bench.api import Claimed, MethodSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Each with the claims that it breaks."""
    home = "mutants_logdet.methods"
    return [
        MethodSpec(
            name="correlated-hutchinson",
            family="logdet",
            target=f"{home}:CorrelatedHutchinson",
            summary="every probe twice",
            claims=(
                Claimed(name="unbiased"),
                Claimed(name="error-bar"),
                Claimed(name="closed-variance", when="'variance' in offers"),
            ),
            cost="probes",
            needs=frozenset({"trace"}),
        ),
        MethodSpec(
            name="overspending-hutch++",
            family="logdet",
            target=f"{home}:OverspendingHutchPP",
            summary="4 m / 3 products where m are declared",
            claims=(Claimed(name="unbiased"),),
            cost="vectors",
            needs=frozenset({"trace"}),
        ),
        MethodSpec(
            name="absolute-slq",
            family="logdet",
            target=f"{home}:AbsoluteSLQ",
            summary="the sign of the log-determinant lost",
            claims=(Claimed(name="small-determinant"),),
            cost="steps * probes",
            needs=frozenset({"spd"}),
        ),
        MethodSpec(
            name="forgetful-preconditioned-slq",
            family="logdet",
            target=f"{home}:ForgetfulPreconditionedSLQ",
            summary="the preconditioner's own log-determinant forgotten",
            claims=(Claimed(name="upper-bound"),),
            cost="rank + steps * probes",
            needs=frozenset({"spd", "bounded"}),
        ),
        MethodSpec(
            name="non-symmetric-slq",
            family="logdet",
            target=f"{home}:NonSymmetricSLQ",
            summary="Lanczos on an operator that is not symmetric",
            claims=(Claimed(name="unbiased"),),
            cost="steps * probes",
            needs=frozenset({"residual"}),
        ),
    ]
