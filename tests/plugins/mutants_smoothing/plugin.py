"""Registration: what the driver imports."""

from __future__ import annotations

import pluggy

from kexue_bench.api import Claimed, MethodSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")

BROKEN = {
    "overflowing-logsumexp": ("OverflowingLogSumExp", "max", "error-bound"),
    "upper-boltzmann": ("UpperBoltzmann", "max", "upper-bound monotone"),
    "loose-softsort": ("LooseSoftSort", "sort", "tight-bound error-bound"),
    "optimistic-softsort": ("OptimisticSoftSort", "sort", "error-bound"),
    "detached-entmax": ("DetachedEntmax", "one-hot", "gradient-matches-value"),
    "slipped-iterative": ("SlippedIterative", "top-k", "hard-limit sums-to-k"),
    "counting-itself": ("CountingItself", "rank", "hard-limit symmetric"),
    "uncapped-top-k": ("UncappedTopK", "top-k", "unit-interval sums-to-k"),
    "exact-softmax": ("ExactSoftmax", "one-hot", "vertex-exact sums-to-k"),
    "monotone-swish": ("MonotoneSwish", "relu", "monotone upper-bound"),
    "lopsided-network": ("LopsidedNetwork", "sort", "doubly-stochastic row-stochastic"),
    "first-of-all": ("FirstOfAll", "max", "symmetric error-bound"),
}
"""Name -> class, kind, and claims, the first of which it breaks."""


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Each with the claims that it breaks."""
    return [
        MethodSpec(
            name=name,
            family="smoothing",
            target=f"mutants_smoothing.methods:{cls}",
            summary="wrong in one way",
            claims=tuple(Claimed(name=claim) for claim in claims.split()),
            needs=frozenset({kind}),
        )
        for name, (cls, kind, claims) in BROKEN.items()
    ]
