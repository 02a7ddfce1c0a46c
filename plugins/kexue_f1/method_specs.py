"""The losses of the family: summaries, sources, claims and knobs. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Claimed, Knob, MethodSpec

_HOME = "kexue_f1.methods"
_GRADIENT = Claimed(name="gradient-matches-value")
_INVARIANT = Claimed(name="batch-size-invariant")
_EPS_FREE = "eps == 0"


def _loss(
    name: str,
    target: str,
    summary: str,
    *claims: Claimed,
    references: tuple[str, ...] = (),
    knobs: tuple[Knob, ...] = (),
    needs: frozenset[str] = frozenset(),
    aliases: tuple[str, ...] = (),
    variants: tuple[str, ...] = (),
) -> MethodSpec:
    return MethodSpec(
        name=name,
        family="f1",
        target=f"{_HOME}.{target}",
        summary=summary,
        claims=claims,
        references=references,
        knobs=knobs,
        needs=needs,
        aliases=aliases,
        variants=variants,
    )


_BASICS = (
    _loss("bce", "bce:BinaryCrossEntropy", "binary cross-entropy: the baseline", _GRADIENT, _INVARIANT),
    _loss(
        "cross-entropy",
        "cross_entropy:CrossEntropy",
        "cross-entropy of the softmax over classes",
        needs=frozenset({"classes"}),
    ),
    _loss(
        "weighted-bce",
        "weighted_bce:WeightedBinaryCrossEntropy",
        "binary cross-entropy with weighted positives",
        _GRADIENT,
        _INVARIANT,
        knobs=(Knob(field="weight", grid=(1.0, 2.0, 5.0, 10.0, 30.0, 100.0)),),
    ),
    _loss(
        "focal",
        "focal:Focal",
        "cross-entropy that looks away from easy items",
        _GRADIENT,
        _INVARIANT,
        references=("Lin et al., arXiv:1708.02002",),
        knobs=(Knob(field="gamma", grid=(0.5, 1.0, 2.0, 5.0)),),
    ),
    _loss(
        "cost-sensitive",
        "cost_sensitive:CostSensitive",
        "cross-entropy with the costs under which F1 is decided, at a fixed level",
        _GRADIENT,
        _INVARIANT,
        references=("Parambath et al., NeurIPS 2014",),
        knobs=(Knob(field="level", grid=(0.1, 0.2, 0.3, 0.4, 0.6, 0.8), scale="linear"),),
    ),
    _loss(
        "dinkelbach",
        "cost_sensitive:Dinkelbach",
        "cost-sensitive with the level looked up on all training data",
        _GRADIENT,
        _INVARIANT,
        references=("Parambath et al., NeurIPS 2014", "Dinkelbach, Management Science 1967"),
    ),
)

_RATIOS = (
    _loss(
        "soft-f1",
        "soft_f1:SoftF1",
        "one minus F1 of soft counts, the Dice loss",
        _GRADIENT,
        Claimed(name="vertex-exact(f1)", when="eps == 0 and beta == 1 and link == 'sigmoid'"),
        Claimed(name="consistent", when="beta == 1 and link == 'sigmoid'"),
        Claimed(name="neutral-when-empty", when="eps == 0 and link == 'sigmoid'"),
        references=("kexue.fm archives/6620", "Milletari et al., arXiv:1606.04797"),
        knobs=(Knob(field="eps", grid=(1e-5, 1e-3, 0.1, 1.0)),),
        aliases=("dice",),
        variants=("soft-f1", "soft-f1[eps=1.0]"),
    ),
    _loss(
        "double-soft-f1",
        "double_soft_f1:DoubleSoftF1",
        "soft F1 of the positives and of the negatives",
        _GRADIENT,
        references=("Maiza, 2019", "stats.stackexchange.com/questions/554907"),
    ),
    _loss(
        "tversky",
        "tversky:Tversky",
        "soft counts with weights for the two kinds of error",
        _GRADIENT,
        Claimed(name="consistent", when="alpha == beta"),
        Claimed(name="neutral-when-empty", when=_EPS_FREE),
        references=("Salehi et al., arXiv:1706.05721",),
    ),
    _loss(
        "focal-tversky",
        "tversky:FocalTversky",
        "a power of the Tversky loss",
        _GRADIENT,
        Claimed(name="neutral-when-empty", when=_EPS_FREE),
        references=("Abraham and Khan, arXiv:1810.07842",),
        knobs=(Knob(field="gamma", grid=(0.5, 0.75, 1.0, 1.5, 2.0)),),
    ),
    _loss(
        "bce-dice",
        "bce_dice:BceDice",
        "cross-entropy plus soft F1",
        _GRADIENT,
        knobs=(Knob(field="weight", grid=(0.1, 0.3, 1.0, 3.0, 10.0)),),
    ),
    _loss(
        "sigmoid-f1",
        "sigmoid_f1:SigmoidF1",
        "soft F1 of a steep sigmoid of the logits",
        _GRADIENT,
        Claimed(name="vertex-exact(f1)", when=_EPS_FREE),
        Claimed(name="consistent"),
        Claimed(name="neutral-when-empty", when=_EPS_FREE),
        references=("Bénédict et al., arXiv:2108.10566",),
        knobs=(Knob(field="beta", grid=(1.0, 3.0, 10.0, 30.0)),),
    ),
    _loss(
        "anyloss-f1",
        "anyloss_f1:AnyLossF1",
        "soft F1 of amplified probabilities",
        _GRADIENT,
        Claimed(name="vertex-exact(f1)", when="steepness >= 40"),
        Claimed(name="consistent", when="steepness >= 40"),
        Claimed(name="neutral-when-empty"),
        references=("Han et al., arXiv:2405.14745",),
        knobs=(Knob(field="steepness", grid=(5.0, 10.0, 30.0, 75.0)),),
    ),
    _loss(
        "global-soft-f1",
        "global_soft_f1:GlobalSoftF1",
        "soft F1 linearised at the counts of all training data",
        _GRADIENT,
        _INVARIANT,
        knobs=(Knob(field="every", grid=(1, 10, 50)),),
    ),
    _loss(
        "ema-soft-f1",
        "global_soft_f1:EmaSoftF1",
        "soft F1 linearised at running means of the batches' counts",
        knobs=(Knob(field="decay", grid=(0.9, 0.97, 0.99, 0.997), scale="linear"),),
    ),
)

_BOUNDS = (
    _loss(
        "lovasz-hinge",
        "lovasz:LovaszHinge",
        "convex extension of the Jaccard loss on hinge errors",
        _GRADIENT,
        Claimed(name="upper-bound(jaccard)"),
        references=("Berman et al., arXiv:1705.08790", "Yu and Blaschko, arXiv:1512.07797"),
    ),
    _loss(
        "lovasz-softmax",
        "lovasz:LovaszSoftmax",
        "extension of the Jaccard loss on errors of probabilities",
        _GRADIENT,
        Claimed(name="vertex-exact(jaccard)"),
        Claimed(name="consistent"),
        Claimed(name="neutral-when-empty"),
        references=("Berman et al., arXiv:1705.08790",),
        needs=frozenset({"one-label"}),
    ),
    _loss(
        "eban-bound",
        "eban_bound:EbanBound",
        "upper bound of one minus F1 from hinges",
        _GRADIENT,
        Claimed(name="upper-bound(f1)"),
        Claimed(name="neutral-when-empty"),
        references=("Eban et al., arXiv:1608.04802",),
    ),
)

_RIVALS = (
    _loss(
        "asl",
        "asl:AsymmetricLoss",
        "focal loss with an exponent for each class and a margin for easy negatives",
        Claimed(name="gradient-matches-value", when="weight_gradient"),
        _INVARIANT,
        references=("Ridnik et al., arXiv:2009.14119",),
    ),
    _loss(
        "zlpr",
        "zlpr:Zlpr",
        "rank loss of a set of labels, with its threshold at 0",
        _GRADIENT,
        references=("Su et al., arXiv:2208.02955", "kexue.fm archives/7359"),
    ),
    _loss(
        "aucm",
        "aucm:Aucm",
        "margin loss of AUC in closed form",
        _GRADIENT,
        references=("Yuan et al., arXiv:2012.03173",),
    ),
    _loss(
        "smooth-ap",
        "smooth_ap:SmoothAp",
        "average precision with smooth comparisons",
        _GRADIENT,
        Claimed(name="neutral-when-empty"),
        references=("Brown et al., arXiv:2007.12163",),
        knobs=(Knob(field="temperature", grid=(0.01, 0.1, 1.0)),),
    ),
)

METHODS = (*_BASICS, *_RATIOS, *_BOUNDS, *_RIVALS)
