"""What the family says of its methods. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Claimed, MethodSpec

FAMILY = "smoothing"
_HOME = "kexue_smoothing.methods"
_BOUND = "error-bound tight-bound hard-limit gradient-matches-value"
_ONE_HOT = f"{_BOUND} unit-interval sums-to-k symmetric"
_SCALAR = f"{_BOUND}"


def _claims(names: str, **when: str) -> tuple[Claimed, ...]:
    """Claims by name; a keyword names one that holds under its condition."""
    plain = tuple(Claimed(name=name) for name in names.split())
    return plain + tuple(Claimed(name=name.replace("_", "-"), when=text) for name, text in when.items())


def _spec(
    name: str,
    target: str,
    kind: str,
    summary: str,
    claims: tuple[Claimed, ...],
    *references: str,
    variants: tuple[str, ...] = (),
    more: str = "",
) -> MethodSpec:
    """A method of one kind; `more` is a further word that it needs."""
    return MethodSpec(
        name=name,
        family=FAMILY,
        target=f"{_HOME}.{target}",
        summary=summary,
        references=references,
        claims=claims,
        needs=frozenset({kind, more} - {""}),
        variants=variants,
    )


_SOFTMAX = MethodSpec(
    name="softmax",
    family=FAMILY,
    target=f"{_HOME}.softmax:Softmax",
    summary="A choice becomes softmax weights, and the value their mean: exists for every hard function.",
    references=("Boltzmann weights; each kind's own sources at its operator",),
    claims=_claims(
        "error-bound hard-limit gradient-matches-value",
        tight_bound="'top-k' not in offers",
        lower_bound="'max' in offers",
        unit_interval="'one-hot' in offers or 'top-k' in offers or 'cumax' in offers or 'sample' in offers",
        sums_to_k="'one-hot' in offers or 'sample' in offers",
        symmetric="'sort' in offers or 'rank' in offers or 'max' in offers or 'one-hot' in offers or 'top-k' in offers",
        monotone="'step' in offers or 'round' in offers or 'floor' in offers",
    ),
    aliases=("boltzmann",),
)
_FLOORS = (
    MethodSpec(
        name="hard",
        family=FAMILY,
        target=f"{_HOME}.hard_choice:Hard",
        summary="The hard function itself, with its gradient almost everywhere: the floor of every table.",
        claims=_claims("error-bound"),
    ),
    MethodSpec(
        name="straight-through",
        family=FAMILY,
        target=f"{_HOME}.hard_choice:StraightThrough",
        summary="The hard function forwards, the gradient of softmax backwards.",
        references=("Bengio, Leonard and Courville 2013, arXiv:1308.3432",),
        needs=frozenset({"training"}),
    ),
    MethodSpec(
        name="perturbed",
        family=FAMILY,
        target=f"{_HOME}.perturbed:Perturbed",
        summary="Mean of hard choices under random perturbations of the scores; score-function gradient.",
        references=("Berthet et al. 2020, arXiv:2002.08676",),
        claims=_claims(
            "hard-limit",
            unit_interval="'rank' not in offers",
            sums_to_k="'rank' not in offers",
            expected_softmax="distribution == 'gumbel' and 'one-hot' in offers",
        ),
        needs=frozenset({"linear"}),
    ),
)

_MAXIMA = (
    _spec(
        "logsumexp", "log_sum_exp:LogSumExp", "max", "s log sum exp(x / s): an upper bound whose gradient is softmax.",
        _claims(f"{_BOUND} upper-bound monotone symmetric"),
    ),
    _spec(
        "mellowmax", "log_sum_exp:Mellowmax", "max", "s log mean exp(x / s): a lower bound, non-expansive.",
        _claims(f"{_BOUND} lower-bound monotone symmetric"), "Asadi and Littman 2017, arXiv:1612.05628",
    ),
    _spec(
        "weighted-max", "weighted_max:WeightedMax", "max", "Mean of the entries under sparsemax or entmax weights.",
        _claims(f"{_BOUND} lower-bound symmetric", vertex_exact="alpha > 1"),
        "Martins and Astudillo 2016, arXiv:1602.02068",
        variants=("weighted-max[alpha=[2.0,1.5]]",),
    ),
    _spec(
        "entmax-max", "weighted_max:EntmaxMax", "max", "max <p, x> + s H(p): sparsemax or entmax as its gradient.",
        _claims(f"{_BOUND} upper-bound monotone symmetric", vertex_exact="alpha > 1"),
        "Niculae and Blondel 2017, arXiv:1705.07704",
        variants=("entmax-max[alpha=[2.0,1.5]]",),
    ),
    _spec(
        "p-norm", "p_norm:PNorm", "max", "The norm of order 1 / s of entries >= 0: an upper bound.",
        _claims(f"{_BOUND} upper-bound monotone symmetric"), more="nonnegative",
    ),
    _spec(
        "pair-max", "pair_max:PairMax", "max", "b + relu(a - b) by a smooth rectifier; two entries.",
        _claims(
            f"{_BOUND} symmetric",
            upper_bound="law == 'softplus' or law == 'algebraic'",
            lower_bound="law == 'gelu' or law == 'swish'",
            monotone="law == 'softplus' or law == 'algebraic'",
        ),
        "Biswas et al. 2021, arXiv:2111.04682",
        variants=("pair-max[law=[gelu,algebraic]]",), more="pair",
    ),
)  # fmt: skip

_INDICATORS = (
    _spec(
        "sparsemax", "simplex_maps:Sparsemax", "one-hot", "Euclidean projection of x / s onto the simplex.",
        _claims(f"{_ONE_HOT} vertex-exact"), "Martins and Astudillo 2016, arXiv:1602.02068",
    ),
    _spec(
        "entmax", "simplex_maps:Entmax", "one-hot", "Weights that maximise <p, x> + s H(p), H of order alpha.",
        _claims(_ONE_HOT, vertex_exact="alpha > 1"), "Peters, Niculae and Martins 2019, arXiv:1905.05702",
        variants=("entmax[alpha=[1.5,1.25]]",),
    ),
    _spec(
        "gumbel-softmax", "gumbel_softmax:GumbelSoftmax", "sample", "Weights of x plus Gumbel noise: a soft sample.",
        _claims(f"{_BOUND} unit-interval sums-to-k", vertex_exact="alpha > 1"),
        "Jang, Gu and Poole 2017, arXiv:1611.01144", "Maddison, Mnih and Teh 2017, arXiv:1611.00712",
        variants=("gumbel-softmax[alpha=[2.0,1.5]]",),
    ),
    _spec(
        "soft-argmax", "simplex_maps:SoftArgmax", "argmax", "Mean index under sparsemax or entmax weights.",
        _claims(_BOUND, vertex_exact="alpha > 1"), variants=("soft-argmax[alpha=[2.0,1.5]]",),
    ),
    _spec(
        "cumax", "simplex_maps:Cumax", "cumax", "Running sums of sparsemax or entmax weights.",
        _claims(f"{_BOUND} unit-interval", vertex_exact="alpha > 1"), "Shen et al. 2019, arXiv:1810.09536",
        variants=("cumax[alpha=[2.0,1.5]]",),
    ),
)  # fmt: skip

_ORDERS = (
    _spec(
        "softsort", "soft_permutations:SoftSort", "sort", "Softmax over distances to each order statistic.",
        _claims(f"{_BOUND} symmetric row-stochastic"), "Prillo and Eisenschlos 2020, arXiv:2006.16038",
    ),
    _spec(
        "neuralsort", "soft_permutations:NeuralSort", "sort", "Softmax rows of a permutation matrix's relaxation.",
        _claims(f"{_BOUND} symmetric row-stochastic"), "Grover et al. 2019, arXiv:1903.08850",
    ),
    _spec(
        "fast-soft-sort", "permutahedron:FastSoftSort", "sort", "Projection onto the permutahedron of x.",
        _claims("error-bound hard-limit gradient-matches-value symmetric vertex-exact"),
        "Blondel et al. 2020, arXiv:2002.08871",
    ),
    _spec(
        "sorting-network", "sorting_network:SortingNetwork", "sort", "Odd-even or bitonic network of soft comparisons.",
        _claims(
            "hard-limit gradient-matches-value row-stochastic doubly-stochastic",
            error_bound="law != 'logistic-phi'",
        ),
        "Petersen et al. 2021, arXiv:2105.04019", "Petersen et al. 2022, arXiv:2203.09630",
        variants=("sorting-network[law=[logistic,cauchy,optimal]]", "sorting-network[network=bitonic]"),
    ),
    _spec(
        "fast-soft-rank", "permutahedron:FastSoftRank", "rank", "Projection onto the permutahedron of the ranks.",
        _claims(f"{_BOUND} symmetric vertex-exact"), "Blondel et al. 2020, arXiv:2002.08871",
    ),
)  # fmt: skip

_TOP_K = tuple(
    _spec(name, f"top_k:{cls}", "top-k", summary, claims, *references)
    for name, cls, summary, claims, references in (
        (
            "lapsum", "LapSum", "Laplace distribution functions that sum to k.",
            _claims(_ONE_HOT), ("Struski et al. 2025, arXiv:2503.06242",),
        ),
        (
            "logistic-top-k", "LogisticTopK", "Sigmoids that sum to k: the most entropic weights.",
            _claims(_ONE_HOT), ("Amos et al. 2019, arXiv:1906.08707",),
        ),
        (
            "projection-top-k", "ProjectionTopK", "Euclidean projection onto the weights that sum to k.",
            _claims(f"{_ONE_HOT} vertex-exact"), (),
        ),
        (
            "iterative-top-k", "IterativeTopK", "Softmax k times, each without what was chosen before.",
            _claims("error-bound hard-limit gradient-matches-value sums-to-k symmetric"),
            ("Xie and Ermon 2019, arXiv:1901.10517", "Plotz and Roth 2018, arXiv:1810.12575"),
        ),
        (
            "sinkhorn-top-k", "SinkhornTopK", "Entropic optimal transport to 0 and 1, by Sinkhorn iterations.",
            _claims("hard-limit gradient-matches-value unit-interval symmetric"),
            ("Xie et al. 2020, arXiv:2002.06504",),
        ),
    )
)  # fmt: skip

_SCALARS = (
    _spec(
        "softplus", "soft_relu:Softplus", "relu", "s log(1 + exp(x / s)).",
        _claims(f"{_SCALAR} upper-bound monotone"),
    ),
    _spec(
        "gelu", "soft_relu:Gelu", "relu", "x Phi(x / s).",
        _claims(f"{_SCALAR} lower-bound"), "Hendrycks and Gimpel 2016, arXiv:1606.08415",
    ),
    _spec(
        "squareplus", "soft_relu:Squareplus", "relu", "(x + sqrt(x^2 + s^2)) / 2.",
        _claims(f"{_SCALAR} upper-bound monotone"),
    ),
    _spec(
        "soft-abs", "soft_abs:SoftAbs", "abs", "Root, softplus or error-function forms of |x|.",
        _claims(
            _SCALAR,
            upper_bound="law == 'root' or law == 'softplus'",
            lower_bound="law == 'tanh' or law == 'erf'",
        ),
        variants=("soft-abs[law=[root,softplus,erf]]",),
    ),
    _spec(
        "soft-step", "soft_step:SoftStep", "step", "A distribution function of x / s.",
        _claims(f"{_SCALAR} monotone", vertex_exact="law == 'linear'"),
        variants=("soft-step[law=[normal,algebraic,cauchy,linear]]",),
    ),
    _spec(
        "soft-round", "soft_round:SoftRound", "round", "Rounding by hyperbolic tangents between half-integers.",
        _claims(f"{_SCALAR} monotone"), "Agustsson and Theis 2020, arXiv:2006.09952",
    ),
    _spec(
        "soft-floor", "soft_round:SoftFloor", "floor", "Rounding down by hyperbolic tangents between integers.",
        _claims(f"{_SCALAR} monotone"), "Agustsson and Theis 2020, arXiv:2006.09952",
    ),
)  # fmt: skip

METHODS = (_SOFTMAX, *_FLOORS, *_MAXIMA, *_INDICATORS, *_ORDERS, *_TOP_K, *_SCALARS)


def names_for(offers: frozenset[str]) -> tuple[str, ...]:
    """Selectors of the methods whose needs the offers meet, in order."""
    return tuple(text for spec in METHODS if spec.needs <= offers for text in spec.variants or (spec.name,))
