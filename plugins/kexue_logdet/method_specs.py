"""What the family says of its methods for both kinds of operator and for SPD ones."""

from __future__ import annotations

from kexue_bench.api import Claimed, MethodSpec

FAMILY = "logdet"

# A trace is wanted: B is A itself, and nothing but the probes stands between the estimate and the truth.
_TRACE = "('traces' in offers or ('target' in offers and task.target == 'trace'))"
# The parameter exists only where the word is offered.
_INVERSE = "('target' in offers and task.target == 'inverse')"
_ERROR_BAR = Claimed(name="error-bar", when="probes > 1 and 'gradient' not in offers")
_SIGN = Claimed(name="small-determinant", when="'gradient' not in offers")
_UNBIASED_TRACE = Claimed(name="unbiased", when=_TRACE)
_IMAGES = f"vectors * (1 if {_TRACE} else steps)"

METHODS = (
    MethodSpec(
        name="exact",
        family=FAMILY,
        target="kexue_logdet.methods.exact:Exact",
        summary="Dense LU after n products with the identity, or sparse LU where there are entries.",
        claims=(Claimed(name="unbiased"), Claimed(name="deterministic")),
    ),
    MethodSpec(
        name="power-series",
        family=FAMILY,
        target="kexue_logdet.methods.power_series:PowerSeries",
        summary="Power series of log(1 + x) cut after `degree` terms, traces by Hutchinson probes.",
        references=("Behrmann et al. 2019, arXiv:1811.00995", "Boutsidis et al. 2017, arXiv:1503.00374"),
        claims=(Claimed(name="upper-bound", when="'spd' in offers"), _ERROR_BAR),
        cost="degree * probes",
        needs=frozenset({"bounded"}),
    ),
    MethodSpec(
        name="slq",
        family=FAMILY,
        target="kexue_logdet.methods.slq:SLQ",
        summary="Stochastic Lanczos quadrature with full reorthogonalisation.",
        references=("Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974",),
        claims=(
            Claimed(name="upper-bound", when=f"'gradient' not in offers and not {_INVERSE}"),
            Claimed(name="lower-bound", when=_INVERSE),
            Claimed(name="exact-at(steps=n)", when="orthogonalisation == 'full' and 'gradient' not in offers"),
            _ERROR_BAR,
            _SIGN,
        ),
        cost="(steps + (1 if 'gradient' in offers else 0)) * probes",
        needs=frozenset({"spd"}),
    ),
    MethodSpec(
        name="chebyshev",
        family=FAMILY,
        target="kexue_logdet.methods.chebyshev:Chebyshev",
        summary="Chebyshev interpolant of the logarithm on the spectrum's interval, traces by Hutchinson probes.",
        references=("Han, Malioutov and Shin 2015, arXiv:1503.06394",),
        claims=(_ERROR_BAR, _SIGN),
        cost="(degree + 1) // 2 * probes + (bound_steps if 'bounds' in offers and task.bounds == 'none' else 0)",
        needs=frozenset({"spd"}),
    ),
    MethodSpec(
        name="preconditioned-slq",
        family=FAMILY,
        target="kexue_logdet.methods.preconditioned_slq:PreconditionedSLQ",
        summary="Lanczos quadrature on what a Nystrom preconditioner leaves; one probe may do.",
        references=("Wenger et al. 2021, arXiv:2107.00243",),
        claims=(Claimed(name="upper-bound"), _ERROR_BAR),
        cost="rank + steps * probes",
        needs=frozenset({"spd", "bounded"}),
    ),
    MethodSpec(
        name="one-probe-slq",
        family=FAMILY,
        target="kexue_logdet.methods.one_probe_slq:OneProbeSLQ",
        summary="The same from one Gaussian probe, and from more only where its error bar asks for them.",
        references=("Cortinovis and Toni 2026, arXiv:2601.05778",),
        claims=(Claimed(name="upper-bound"), Claimed(name="error-bar"), _SIGN),
        needs=frozenset({"spd", "bounded"}),
    ),
    MethodSpec(
        name="krylov-deflated-slq",
        family=FAMILY,
        target="kexue_logdet.methods.krylov_deflated_slq:KrylovDeflatedSLQ",
        summary="Lanczos quadrature beside a block Krylov space whose part is known.",
        references=("Chen and Hallman 2022, arXiv:2205.01736",),
        claims=(Claimed(name="upper-bound"), _ERROR_BAR),
        cost="block * (depth + extra) + steps * probes",
        needs=frozenset({"spd"}),
    ),
    MethodSpec(
        name="hutchinson",
        family=FAMILY,
        target="kexue_logdet.methods.hutchinson:Hutchinson",
        summary="Mean of v^T A v over random probes: traces only.",
        references=("Hutchinson 1990, doi:10.1080/03610919008812866",),
        claims=(
            Claimed(name="unbiased"),
            Claimed(name="finite-variance", when="'variance' in offers"),
            Claimed(name="closed-variance", when="'variance' in offers"),
            _ERROR_BAR,
        ),
        cost="probes",
        needs=frozenset({"trace"}),
    ),
    MethodSpec(
        name="hutch++",
        family=FAMILY,
        target="kexue_logdet.methods.hutchpp:HutchPP",
        summary="A low-rank part of A or log A exactly, the rest by Hutchinson.",
        references=("Meyer et al. 2021, arXiv:2010.09649",),
        claims=(_UNBIASED_TRACE, Claimed(name="error-bar", when="vectors > 5")),
        cost=_IMAGES,
        needs=frozenset({"spd"}),
    ),
    MethodSpec(
        name="na-hutch++",
        family=FAMILY,
        target="kexue_logdet.methods.na_hutchpp:NAHutchPP",
        summary="Hutch++ with all its products in one round.",
        references=("Meyer et al. 2021, arXiv:2010.09649",),
        claims=(_UNBIASED_TRACE, Claimed(name="error-bar")),
        cost=_IMAGES,
        needs=frozenset({"spd"}),
    ),
    MethodSpec(
        name="xtrace",
        family=FAMILY,
        target="kexue_logdet.methods.xtrace:XTrace",
        summary="Leave-one-out Hutch++: every test vector sketches for the others and probes for itself.",
        references=("Epperly, Tropp and Webber 2024, arXiv:2301.07825",),
        claims=(_UNBIASED_TRACE,),
        cost=_IMAGES,
        needs=frozenset({"spd"}),
    ),
    MethodSpec(
        name="xnystrace",
        family=FAMILY,
        target="kexue_logdet.methods.xnystrace:XNysTrace",
        summary="Leave-one-out with Nystrom approximations, one product a test vector.",
        references=("Epperly, Tropp and Webber 2024, arXiv:2301.07825",),
        claims=(_UNBIASED_TRACE,),
        cost=_IMAGES,
        needs=frozenset({"spd", "bounded"}),
    ),
)
"""One call of any estimator at its defaults is 60 products; methods on log A take 60 products with it, of 8 each."""

TRACES = frozenset({"exact", "hutchinson", "hutch++", "na-hutch++", "xtrace", "xnystrace", "curvlinops"})
"""Methods of this plugin that estimate traces."""
INVERSES = frozenset({"exact", "slq", "hutch++", "na-hutch++", "xtrace", "xnystrace"})
"""Methods of this plugin that estimate the trace of an inverse."""
GRADIENTS = frozenset({"exact", "slq"})
"""Methods of this module that give the gradient of an SPD operator's log-determinant."""
