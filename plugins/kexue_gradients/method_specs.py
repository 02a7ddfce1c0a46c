"""What each method declares: claims, cost, needs and sources. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Claimed, Knob, MethodSpec

from .continuous_specs import CONTINUOUS_METHODS
from .discrete_specs import DISCRETE_METHODS

_FAMILY = "gradients"
_METHODS = "kexue_gradients.methods"
_UNBIASED = (Claimed(name="unbiased"),)
_FINITE = (Claimed(name="finite-variance"),)

# Score-function methods first, then those that need the gradient of f.
METHODS = (
    MethodSpec(
        name="exact",
        family=_FAMILY,
        target=f"{_METHODS}.exact:Exact",
        summary="the gradient itself, summed over every state",
        claims=(*_UNBIASED, *_FINITE, Claimed(name="deterministic")),
        needs=frozenset({"enumerable"}),
    ),
    MethodSpec(
        name="reinforce",
        family=_FAMILY,
        target=f"{_METHODS}.reinforce:Reinforce",
        summary="score function times f, with no, a constant, a moving-average or the optimal baseline",
        references=("Williams, Machine Learning 8, 1992", "arXiv:1906.10652"),
        claims=(*_UNBIASED, Claimed(name="finite-variance", when="'discrete' in offers")),
        cost="1",
        aliases=("score",),
        variants=("reinforce", "reinforce[baseline=ema]"),
        needs=frozenset({"expectation"}),
    ),
    MethodSpec(
        name="rloo",
        family=_FAMILY,
        target=f"{_METHODS}.rloo:Rloo",
        summary="reinforce with the leave-one-out mean of n draws as baseline",
        references=("arXiv:1602.06725", "Kool, van Hoof, Welling, Buy 4 REINFORCE samples, ICLR workshop 2019"),
        claims=(*_UNBIASED, *_FINITE),
        cost="n",
        needs=frozenset({"discrete"}),
    ),
    MethodSpec(
        name="disarm",
        family=_FAMILY,
        target=f"{_METHODS}.disarm:Disarm",
        summary="antithetic pair of bits with the uniform of ARM integrated out",
        references=("arXiv:2006.10680",),
        claims=_UNBIASED,
        cost="2 * pairs",
        needs=frozenset({"bernoulli"}),
    ),
    MethodSpec(
        name="gumbel-softmax",
        family=_FAMILY,
        target=f"{_METHODS}.gumbel_softmax:GumbelSoftmax",
        summary="pathwise gradient of a relaxed sample (Concrete)",
        references=("arXiv:1611.01144", "arXiv:1611.00712"),
        cost="1",
        needs=frozenset({"discrete", "differentiable", "relaxable"}),
        knobs=(Knob(field="temperature", grid=(0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0)),),
        aliases=("concrete",),
    ),
    MethodSpec(
        name="st-gumbel-softmax",
        family=_FAMILY,
        target=f"{_METHODS}.st_gumbel_softmax:StGumbelSoftmax",
        summary="exact sample forwards, its relaxation backwards",
        references=("arXiv:1611.01144",),
        knobs=(Knob(field="temperature", grid=(0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0)),),
        cost="1",
        needs=frozenset({"discrete", "differentiable"}),
    ),
    MethodSpec(
        name="straight-through",
        family=_FAMILY,
        target=f"{_METHODS}.straight_through:StraightThrough",
        summary="exact sample forwards, its probability backwards",
        references=("arXiv:1308.3432",),
        claims=_FINITE,
        cost="1",
        needs=frozenset({"discrete", "differentiable"}),
    ),
    MethodSpec(
        name="reinmax",
        family=_FAMILY,
        target=f"{_METHODS}.reinmax:ReinMax",
        summary="second-order straight-through, exact on quadratics at temperature 1",
        references=("arXiv:2304.08612",),
        knobs=(Knob(field="temperature", grid=(1.0, 1.1, 1.2, 1.3, 1.5, 2.0)),),
        claims=(*_FINITE, Claimed(name="unbiased", when="temperature == 1 and 'power' in offers and task.power == 2")),
        cost="1",
        needs=frozenset({"discrete", "differentiable"}),
        aliases=("zgr",),
    ),
    *DISCRETE_METHODS,
    *CONTINUOUS_METHODS,
)
