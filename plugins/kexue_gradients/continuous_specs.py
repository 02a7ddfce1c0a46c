"""What the methods for normal and gamma variables and for bounds over several samples declare; no torch here."""

from __future__ import annotations

from kexue_bench.api import Claimed, MethodSpec

_FAMILY = "gradients"
_METHODS = "kexue_gradients.methods"
_UNBIASED = (Claimed(name="unbiased"),)

CONTINUOUS_METHODS = (
    MethodSpec(
        name="pathwise",
        family=_FAMILY,
        target=f"{_METHODS}.pathwise:Pathwise",
        summary="gradient of f through mu + sigma e",
        references=("arXiv:1312.6114", "arXiv:1906.10652"),
        claims=_UNBIASED,
        cost="1",
        needs=frozenset({"gaussian", "differentiable"}),
        aliases=("reparameterisation",),
    ),
    MethodSpec(
        name="antithetic-score",
        family=_FAMILY,
        target=f"{_METHODS}.antithetic_score:AntitheticScore",
        summary="score function on a normal draw and its mirror image",
        references=("arXiv:1906.10652",),
        claims=_UNBIASED,
        cost="2",
        needs=frozenset({"gaussian"}),
    ),
    MethodSpec(
        name="measure-valued",
        family=_FAMILY,
        target=f"{_METHODS}.measure_valued:MeasureValued",
        summary="derivative of the density as a coupled difference of two, one variable at a time",
        references=("arXiv:1906.10652",),
        claims=_UNBIASED,
        needs=frozenset({"gaussian"}),
    ),
    MethodSpec(
        name="implicit-gamma",
        family=_FAMILY,
        target=f"{_METHODS}.implicit_gamma:ImplicitGamma",
        summary="gradient of f through a gamma variable at a fixed quantile",
        references=("arXiv:1805.08498",),
        claims=_UNBIASED,
        cost="1",
        needs=frozenset({"gamma", "differentiable"}),
    ),
    MethodSpec(
        name="vimco",
        family=_FAMILY,
        target=f"{_METHODS}.vimco:Vimco",
        summary="score function on an n-sample bound, each sample with a baseline made from the others",
        references=("arXiv:1602.06725",),
        claims=_UNBIASED,
        needs=frozenset({"multi-sample"}),
        variants=("vimco", "vimco[baseline=none]"),
    ),
)
