"""What the family says of its methods for both kinds of operator and for SPD ones."""

from __future__ import annotations

from kexue_bench.api import Claimed, MethodSpec

FAMILY = "logdet"

METHODS = (
    MethodSpec(
        name="exact",
        family=FAMILY,
        target="kexue_logdet.methods.exact:Exact",
        summary="Dense LU after n products with the identity.",
        claims=(Claimed(name="unbiased"), Claimed(name="deterministic")),
    ),
    MethodSpec(
        name="power-series",
        family=FAMILY,
        target="kexue_logdet.methods.power_series:PowerSeries",
        summary="Power series of log(1 + x) cut after `degree` terms, traces by Hutchinson probes.",
        references=("Behrmann et al. 2019, arXiv:1811.00995", "Boutsidis et al. 2017, arXiv:1503.00374"),
        claims=(Claimed(name="upper-bound", when="'spd' in offers"),),
        cost="degree * probes",
        needs=frozenset({"bounded"}),
    ),
    MethodSpec(
        name="slq",
        family=FAMILY,
        target="kexue_logdet.methods.slq:SLQ",
        summary="Stochastic Lanczos quadrature with full reorthogonalisation.",
        references=("Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974",),
        claims=(Claimed(name="upper-bound"), Claimed(name="exact-at(steps=n)")),
        cost="steps * probes",
        needs=frozenset({"spd"}),
    ),
)
"""One call of any estimator at its defaults is 60 products, or as near as its form allows."""
