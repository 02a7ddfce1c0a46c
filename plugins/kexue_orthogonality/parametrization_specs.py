"""What parametrizations, projections and optimizers declare. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Case, Claimed, ClaimSpec, Knob, MethodSpec

_FAMILY = "orthogonality"
_METHODS = "kexue_orthogonality.methods"
_RATES = Knob(field="lr", grid=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0))


def _claimed(*names: str, when: str = "") -> tuple[Claimed, ...]:
    return tuple(Claimed(name=name, when=when) for name in names)


_ON_MANIFOLD = _claimed("keeps-determinant", "one-lipschitz", "stays-on-manifold", "converges-to-polar")

METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="parametrization",
        family=_FAMILY,
        target=f"{_METHODS}.parametrization:Parametrization",
        summary="weights as a map of free matrices: Cayley, exponential or Householder reflections",
        references=("arXiv:1901.08428", "arXiv:1909.09501", "doi:10.1007/s10107-012-0584-1", "arXiv:1612.00188"),
        claims=_ON_MANIFOLD,
        variants=("parametrization[map=[cayley,matrix_exp,householder]]",),
    ),
    MethodSpec(
        name="newton-schulz",
        family=_FAMILY,
        target=f"{_METHODS}.newton_schulz:NewtonSchulz",
        summary="Newton-Schulz iterations in every forward pass, degree 3 or 5",
        references=("doi:10.1137/0707031", "doi:10.1137/0708036"),
        claims=(
            *_claimed("one-lipschitz", when="scale != 'none'"),
            *_claimed("converges-to-polar"),
        ),
    ),
    MethodSpec(
        name="bjorck",
        family=_FAMILY,
        target=f"{_METHODS}.bjorck:Bjorck",
        summary="relaxed Bjorck iterations in every forward pass",
        references=("doi:10.1137/0708036", "arXiv:1811.05381"),
        claims=(
            *_claimed("one-lipschitz", when="scale != 'none'"),
            *_claimed("converges-to-polar", when="beta > 0.4"),
        ),
    ),
    MethodSpec(
        name="polar-express",
        family=_FAMILY,
        target=f"{_METHODS}.polar_express:PolarExpress",
        summary="the best sequence of quintics in every forward pass",
        references=("Amsel et al. 2025, arXiv:2505.16932",),
        claims=_claimed("converges-to-polar"),
    ),
    MethodSpec(
        name="riemannian-sgd",
        family=_FAMILY,
        target=f"{_METHODS}.riemannian_sgd:RiemannianSGD",
        summary="gradient descent along the Stiefel manifold, back onto it by QR or the polar factor",
        references=("Absil, Mahony and Sepulchre 2008, doi:10.1515/9781400830244",),
        claims=_ON_MANIFOLD,
        knobs=(_RATES,),
        aliases=("rsgd",),
    ),
    MethodSpec(
        name="landing",
        family=_FAMILY,
        target=f"{_METHODS}.landing:Landing",
        summary="descent that is drawn to the manifold, with the safe step, and no factorisation",
        references=("Ablin and Peyre 2022, arXiv:2102.07432", "arXiv:2303.16510"),
        claims=_claimed("keeps-determinant", "stays-within-radius", "converges-to-polar"),
        knobs=(_RATES,),
    ),
    MethodSpec(
        name="polar-projection",
        family=_FAMILY,
        target=f"{_METHODS}.polar_projection:PolarProjection",
        summary="the nearest orthogonal matrix after every few steps",
        references=("Fan and Hoffman 1955, doi:10.2307/2032662",),
        claims=(
            *_claimed("converges-to-polar"),
            *_claimed("one-lipschitz", "stays-on-manifold", when="every == 1"),
        ),
        knobs=(Knob(field="every", grid=(1, 3, 10, 30)),),
    ),
    MethodSpec(
        name="muon",
        family=_FAMILY,
        target=f"{_METHODS}.muon:Muon",
        summary="an optimizer: its updates are made orthogonal, its weights are not",
        references=("repository KellerJordan/Muon",),
        knobs=(_RATES,),
    ),
    MethodSpec(
        name="geotorch",
        family=_FAMILY,
        target=f"{_METHODS}.geotorch_stiefel:GeotorchStiefel",
        summary="geotorch's Stiefel parametrization, where geotorch is installed",
        references=("arXiv:1909.09501", "repository lezcano/geotorch"),
        claims=_claimed("keeps-determinant", "one-lipschitz", "stays-on-manifold", "converges-to-polar"),
    ),
    MethodSpec(
        name="geoopt-sgd",
        family=_FAMILY,
        target=f"{_METHODS}.geoopt_sgd:GeooptSGD",
        summary="geoopt's Riemannian gradient descent, where geoopt is installed",
        references=("arXiv:2005.02819", "repository geoopt/geoopt"),
        claims=_ON_MANIFOLD,
        knobs=(_RATES,),
    ),
    MethodSpec(
        name="orthogonium-bjorck",
        family=_FAMILY,
        target=f"{_METHODS}.orthogonium_bjorck:OrthogoniumBjorck",
        summary="orthogonium's Bjorck parametrization, where orthogonium is installed",
        references=("arXiv:2501.07930", "repository deel-ai/orthogonium"),
        claims=_claimed("converges-to-polar"),
    ),
)

_CHECKS = {
    "keeps-determinant": "the sign of a square weight's determinant stays what it was",
    "one-lipschitz": "no singular value passes 1",
    "stays-on-manifold": "columns are orthonormal after every step",
    "stays-within-radius": "|W'W - I| stays within the radius at any learning rate",
    "converges-to-polar": "without a loss the weight ends at the polar factor of its start",
}
CLAIMS: tuple[ClaimSpec, ...] = tuple(
    ClaimSpec(
        name=name,
        family=_FAMILY,
        target=f"kexue_orthogonality.constraint_claims:{name.replace('-', '_')}",
        summary=summary,
    )
    for name, summary in _CHECKS.items()
)

POLYNOMIALS = frozenset({"newton-schulz", "bjorck", "polar-express", "muon"})
"""Methods of this plugin that are sequences of odd polynomials."""
_WITHOUT_LOSS = frozenset({"projection", "hard-projection", "gaussian-projection", "frames", "convolution"})


def skip(case: Case) -> str | None:
    """Why a method of this plugin leaves a task of it out; None where it does not, or where either is a stranger's."""
    if case.family != _FAMILY or case.method.source != case.task.source:
        return None
    name, task = case.method.name, case.task.name
    if task == "sign-iteration" and name not in POLYNOMIALS:
        return "is no sequence of polynomials of singular values"
    if task == "convolution-spectrum" and name != "none":
        return "has no part in how convolutions are measured"
    if name == "orthogonium-bjorck" and case.dtype != "float32":
        return "computes in float32 only"
    if name == "muon" and task in _WITHOUT_LOSS:
        return "makes updates orthogonal, and without a loss there are none"
    return None
