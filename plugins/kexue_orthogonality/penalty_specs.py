"""What controls and penalties declare: claims, knobs and sources. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Claimed, ClaimSpec, Knob, MethodSpec

_FAMILY = "orthogonality"
_METHODS = "kexue_orthogonality.methods"

# One grid for all: what a weight means differs between penalties by powers of ten.
WEIGHTS = Knob(field="weight", grid=(1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1))


def _penalty(
    name: str,
    target: str,
    summary: str,
    claims: str,
    *references: str,
    aliases: tuple[str, ...] = (),
    variants: tuple[str, ...] = (),
    needs: frozenset[str] = frozenset(),
) -> MethodSpec:
    """A penalty with `claims` as `name` or `name if condition`, parted by `; `."""
    parted = (claim.partition(" if ") for claim in claims.split("; "))
    return MethodSpec(
        name=name,
        family=_FAMILY,
        target=f"{_METHODS}.{target}",
        summary=summary,
        claims=tuple(Claimed(name=claim, when=when) for claim, _, when in parted),
        references=references,
        knobs=(WEIGHTS,),
        aliases=aliases,
        variants=variants,
        needs=needs,
    )


_GRADIENT = "gradient-matches-value"
_NORM = f"{_GRADIENT}; zero-on-orthogonal; zero-only-on-orthogonal; left-invariant"
_SRIP = "arXiv:1810.09102"

CONTROLS = (
    MethodSpec(
        name="none",
        family=_FAMILY,
        target=f"{_METHODS}.controls:Nothing",
        summary="leave the weights alone; what everything is compared with",
    ),
    MethodSpec(
        name="weight-decay",
        family=_FAMILY,
        target=f"{_METHODS}.controls:WeightDecay",
        summary="add a multiple of the weights to their gradient",
        knobs=(WEIGHTS,),
        aliases=("l2",),
    ),
    MethodSpec(
        name="orthogonal-init",
        family=_FAMILY,
        target=f"{_METHODS}.controls:OrthogonalInit",
        summary="start at the polar factors and do nothing more",
        references=("arXiv:1312.6120",),
    ),
    MethodSpec(
        name="spectral-norm",
        family=_FAMILY,
        target=f"{_METHODS}.controls:SpectralNorm",
        summary="divide by the largest singular value, by power iteration",
        references=("arXiv:1802.05957",),
    ),
)

PENALTIES = (
    _penalty(
        "soft",
        "soft:Soft",
        "squared Frobenius norm of W'W - I",
        f"{_NORM}; right-invariant",
        _SRIP,
        aliases=("so",),
    ),
    _penalty(
        "double-soft",
        "soft:DoubleSoft",
        "soft on both sides: twice soft, and a constant",
        f"{_GRADIENT}; stationary-on-orthogonal; left-invariant; right-invariant",
        _SRIP,
        aliases=("dso",),
    ),
    _penalty(
        "off-diagonal",
        "off_diagonal:OffDiagonal",
        "squares of the Gram matrix beside its diagonal (BigGAN)",
        f"{_GRADIENT} if gradient == 'full'; zero-on-orthogonal; left-invariant",
        "arXiv:1809.11096",
        aliases=("biggan",),
        variants=("off-diagonal", "off-diagonal[gradient=released]"),
    ),
    _penalty(
        "srip",
        "srip:Srip",
        "spectral norm of W'W - I, exact or by two power steps",
        f"{_GRADIENT} if solver != 'power'; zero-on-orthogonal; zero-only-on-orthogonal if solver == 'exact'; "
        "left-invariant; right-invariant if solver == 'exact'",
        _SRIP,
        variants=("srip", "srip[solver=two-step]"),
    ),
    _penalty("mc-entry", "mutual_coherence:McEntry", "largest entry of |W'W - I|", _NORM, _SRIP),
    _penalty("mc-induced", "mutual_coherence:McInduced", "largest row sum of |W'W - I|", _NORM, _SRIP),
    _penalty(
        "coherence",
        "mutual_coherence:Coherence",
        "largest |cosine| between two columns",
        f"{_GRADIENT}; left-invariant; scale-invariant",
        "Welch, IEEE Transactions on Information Theory 20, 1974",
    ),
    _penalty(
        "som",
        "som:SelfOrthogonality",
        "angles read off the signs of the answers to a batch",
        f"{_GRADIENT}; left-invariant if estimator == 'exact'; scale-invariant if estimator == 'exact'; "
        "stationary-on-orthogonal if estimator == 'exact'",
        "arXiv:2001.01275",
        variants=("som", "som[estimator=split]", "som[estimator=whitened]", "som[estimator=exact]"),
        needs=frozenset({"inputs"}),
    ),
    _penalty(
        "mhe",
        "energy:HypersphericalEnergy",
        "columns and their opposites repel each other on the sphere",
        f"{_GRADIENT}; left-invariant; scale-invariant; stationary-on-orthogonal if space == 'half'",
        "arXiv:1805.09298",
    ),
    _penalty(
        "ocnn",
        "ocnn:Ocnn",
        "orthogonality of a convolution as an operator",
        f"{_NORM}; right-invariant",
        "arXiv:1911.12207",
    ),
    _penalty("l1-gram", "entrywise:L1Gram", "sum of |W'W - I|", _NORM, "arXiv:1609.07093"),
    _penalty(
        "cosine",
        "cosine:Cosine",
        "squared cosines between columns",
        f"{_GRADIENT}; zero-on-orthogonal; left-invariant; scale-invariant",
    ),
    _penalty(
        "orthoreg",
        "cosine:OrthoReg",
        "positive cosines punished, negative ones rewarded",
        f"{_GRADIENT}; left-invariant; scale-invariant",
        "arXiv:1611.01967",
    ),
    _penalty(
        "logdet-divergence",
        "divergence:LogDetDivergence",
        "tr G - log det G - k, infinite where rank is lost",
        f"{_NORM}; right-invariant",
    ),
    _penalty(
        "von-neumann",
        "divergence:VonNeumannDivergence",
        "tr(G log G - G + I)",
        f"{_NORM}; right-invariant",
    ),
    _penalty(
        "polar-distance",
        "singular_values:PolarDistance",
        "squared distance to the polar factor",
        f"{_NORM}; right-invariant",
    ),
    _penalty(
        "spectral-penalty",
        "singular_values:SpectralPenalty",
        "half the square of the largest singular value",
        f"{_GRADIENT}; left-invariant; right-invariant",
        "arXiv:1705.10941",
    ),
)

METHODS = (*CONTROLS, *PENALTIES)

CLAIMS = tuple(
    ClaimSpec(name=name, family=_FAMILY, target=f"kexue_orthogonality.claims:{name.replace('-', '_')}", summary=summary)
    for name, summary in (
        ("zero-on-orthogonal", "the penalty vanishes where columns are orthonormal"),
        ("zero-only-on-orthogonal", "the penalty vanishes nowhere else: it sees lengths and angles"),
        ("stationary-on-orthogonal", "its gradient vanishes where columns are orthonormal"),
        ("left-invariant", "a rotation of the space of the columns changes nothing"),
        ("right-invariant", "a rotation that mixes the columns changes nothing"),
        ("scale-invariant", "the lengths of columns change nothing"),
        ("gradient-matches-value", "the gradient is that of the value, by central differences"),
    )
)
