"""What the further methods for bits and classes declare. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Claimed, Knob, MethodSpec

_FAMILY = "gradients"
_METHODS = "kexue_gradients.methods"
_UNBIASED = (Claimed(name="unbiased"),)
_DISCRETE = frozenset({"discrete"})
_BITS = frozenset({"bernoulli"})
_CLASSES = frozenset({"categorical"})
_SLOPE = _DISCRETE | {"differentiable"}
_RELAXED = _SLOPE | {"relaxable"}
# How fast a control variate or a baseline learns, in its warm-up and in training.
_PACE = Knob(field="rate", grid=(0.002, 0.005, 0.02, 0.05, 0.2))
_SOFTNESS = Knob(field="temperature", grid=(0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0))
# The word promises that f is of degree 1 in each variable; the toys say it by their power.
_MULTILINEAR = "'multilinear' in offers or 'power' in offers and task.power == 1"

# Methods that see values of f only.
_BLACK_BOX = (
    MethodSpec(
        name="arm",
        family=_FAMILY,
        target=f"{_METHODS}.arm:Arm",
        summary="two antithetic evaluations on one uniform a bit",
        references=("arXiv:1807.11143",),
        claims=_UNBIASED,
        cost="2 * pairs",
        needs=_BITS,
    ),
    MethodSpec(
        name="arms",
        family=_FAMILY,
        target=f"{_METHODS}.arms:Arms",
        summary="n mutually antithetic bits from a Dirichlet copula",
        references=("arXiv:2105.14141",),
        claims=_UNBIASED,
        cost="n",
        needs=_BITS,
    ),
    MethodSpec(
        name="disarm-tree",
        family=_FAMILY,
        target=f"{_METHODS}.disarm_tree:DisarmTree",
        summary="antithetic pair of classes, coupled along a balanced tree of bits",
        references=("arXiv:2106.08056",),
        claims=_UNBIASED,
        cost="2",
        needs=_CLASSES,
    ),
    MethodSpec(
        name="disarm-stick-breaking",
        family=_FAMILY,
        target=f"{_METHODS}.disarm_stick_breaking:DisarmStickBreaking",
        summary="antithetic pair of classes, coupled along a broken stick of bits",
        references=("arXiv:2106.08056",),
        claims=_UNBIASED,
        cost="2",
        needs=_CLASSES,
        variants=("disarm-stick-breaking", "disarm-stick-breaking[weighted=true]"),
        aliases=("coupled-categorical",),
    ),
    MethodSpec(
        name="unordered-set",
        family=_FAMILY,
        target=f"{_METHODS}.unordered_set:UnorderedSet",
        summary="k states without replacement, their order integrated out; or summed and sampled",
        references=("arXiv:2002.06043", "arXiv:1903.06059"),
        claims=_UNBIASED,
        cost="k",
        needs=_DISCRETE,
    ),
    MethodSpec(
        name="top-k-sum",
        family=_FAMILY,
        target=f"{_METHODS}.top_k_sum:TopKSum",
        summary="the k likeliest states summed, one of the others drawn",
        references=("arXiv:1810.04777",),
        claims=_UNBIASED,
        cost="2 * (k + 1) if baseline == 'sampled' else k + 1",
        needs=_DISCRETE,
    ),
    MethodSpec(
        name="exact-baseline",
        family=_FAMILY,
        target=f"{_METHODS}.exact_baseline:ExactBaseline",
        summary="score function with E f, summed over all states, as baseline",
        references=("arXiv:2111.05300",),
        claims=(*_UNBIASED, Claimed(name="finite-variance")),
        needs=_DISCRETE | {"enumerable"},
    ),
    MethodSpec(
        name="bit-flip",
        family=_FAMILY,
        target=f"{_METHODS}.bit_flip:BitFlip",
        summary="exact over some bits given a draw of the others; over all of them the local expectation gradient",
        references=("arXiv:2208.06124", "Titsias, Lazaro-Gredilla, Local expectation gradients, NeurIPS 2015"),
        claims=_UNBIASED,
        cost="1 + coordinates",
        needs=_BITS,
    ),
    MethodSpec(
        name="stratified",
        family=_FAMILY,
        target=f"{_METHODS}.stratified:Stratified",
        summary="score function over n stratified draws with a constant baseline",
        references=("arXiv:2002.06043",),
        claims=_UNBIASED,
        cost="n",
        needs=_DISCRETE,
    ),
    MethodSpec(
        name="nvil",
        family=_FAMILY,
        target=f"{_METHODS}.nvil:Nvil",
        summary="score function with a learned input-dependent baseline, divided by the spread of f",
        references=("arXiv:1402.0030",),
        claims=(Claimed(name="unbiased", when="not normalise"),),
        cost="1",
        needs=_DISCRETE,
        knobs=(_PACE,),
        variants=("nvil", "nvil[normalise=false]"),
    ),
)

# Methods that need the gradient of f.
_DIFFERENTIATING = (
    MethodSpec(
        name="muprop",
        family=_FAMILY,
        target=f"{_METHODS}.muprop:MuProp",
        summary="score function with the expansion of f about E x as control variate",
        references=("arXiv:1511.05176",),
        claims=_UNBIASED,
        cost="2",
        needs=_RELAXED,
    ),
    MethodSpec(
        name="darn",
        family=_FAMILY,
        target=f"{_METHODS}.darn:Darn",
        summary="score function of the expansion of f about the draw",
        references=("Gregor et al., Deep autoregressive networks, ICML 2014",),
        claims=(Claimed(name="unbiased", when=_MULTILINEAR),),
        cost="1",
        needs=_SLOPE,
    ),
    MethodSpec(
        name="rebar",
        family=_FAMILY,
        target=f"{_METHODS}.rebar:Rebar",
        summary="score function with a relaxed sample as control variate, its weight and temperature learned",
        references=("arXiv:1703.07370",),
        claims=_UNBIASED,
        cost="3",
        needs=_RELAXED,
        knobs=(_SOFTNESS, Knob(field="eta", grid=(0.25, 0.5, 1.0, 1.5), scale="linear"), _PACE),
    ),
    MethodSpec(
        name="relax",
        family=_FAMILY,
        target=f"{_METHODS}.relax:Relax",
        summary="rebar with a learned network beside the relaxed f",
        references=("arXiv:1711.00123",),
        claims=_UNBIASED,
        cost="3 if eta else 1",
        needs=_RELAXED,
        knobs=(_SOFTNESS, _PACE),
    ),
    MethodSpec(
        name="double-cv",
        family=_FAMILY,
        target=f"{_METHODS}.double_cv:DoubleCv",
        summary="rloo with the gradient of f at the other draws as a second control variate, its weight learned",
        references=("arXiv:2111.05300",),
        claims=_UNBIASED,
        cost="n",
        needs=_SLOPE,
        knobs=(_PACE,),
    ),
    MethodSpec(
        name="rodeo",
        family=_FAMILY,
        target=f"{_METHODS}.rodeo:Rodeo",
        summary="rloo with control variates from a Stein operator over single flips, learned",
        references=("arXiv:2202.09497",),
        claims=_UNBIASED,
        cost="n",
        needs=_BITS | {"differentiable"},
        knobs=(Knob(field="rate", grid=(0.001, 0.003, 0.01, 0.03, 0.1)),),
    ),
    MethodSpec(
        name="gumbel-rao",
        family=_FAMILY,
        target=f"{_METHODS}.gumbel_rao:GumbelRao",
        summary="st-gumbel-softmax averaged over the noise given the sample",
        references=("arXiv:2010.04838",),
        cost="1",
        needs=_SLOPE,
        knobs=(_SOFTNESS,),
    ),
    MethodSpec(
        name="gapped-straight-through",
        family=_FAMILY,
        target=f"{_METHODS}.gapped_straight_through:GappedStraightThrough",
        summary="softmax of logits shifted until the class drawn leads by a gap",
        references=("arXiv:2206.07235",),
        cost="1",
        needs=_SLOPE,
        knobs=(_SOFTNESS,),
        aliases=("gst",),
    ),
    MethodSpec(
        name="decoupled-st",
        family=_FAMILY,
        target=f"{_METHODS}.decoupled_st:DecoupledSt",
        summary="straight-through with one temperature forwards and another backwards",
        references=("arXiv:2410.13331",),
        cost="1",
        needs=_SLOPE,
        knobs=(Knob(field="backward", grid=(0.35, 0.5, 0.7, 1.0, 1.3, 1.5, 2.0)),),
    ),
    MethodSpec(
        name="imle",
        family=_FAMILY,
        target=f"{_METHODS}.imle:Imle",
        summary="difference of two most likely states under the same noise",
        references=("arXiv:2106.01798",),
        cost="1",
        needs=_SLOPE,
        knobs=(Knob(field="strength", grid=(0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)),),
    ),
)

DISCRETE_METHODS = (*_BLACK_BOX, *_DIFFERENTIATING)
