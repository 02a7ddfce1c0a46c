"""What the family says of other libraries' estimators, which run only where the library is installed."""

from __future__ import annotations

from kexue_bench.api import Claimed, MethodSpec

FAMILY = "logdet"
_HOME = "kexue_logdet.methods.competitors"
_INSTALL = "pip install 'kexue-bench[competitors]'"
_SIGN = Claimed(name="small-determinant")

METHODS = (
    MethodSpec(
        name="linear-operator",
        family=FAMILY,
        target=f"{_HOME}:LinearOperatorLogdet",
        summary="inv_quad_logdet of linear_operator (GPyTorch); products counted.",
        references=("Gardner et al. 2018, arXiv:1809.11165",),
        claims=(_SIGN,),
        cost="(steps + 1) * probes",
        needs=frozenset({"spd"}),
        requires="linear_operator",
        install=_INSTALL,
    ),
    MethodSpec(
        name="cola",
        family=FAMILY,
        target=f"{_HOME}:CoLALogdet",
        summary="cola.linalg.logdet, 100 Gaussian probes always; products counted.",
        references=("Potapczynski et al. 2023, arXiv:2309.03060",),
        claims=(_SIGN,),
        cost="100 * steps",
        needs=frozenset({"spd"}),
        requires="cola",
        install=_INSTALL,
    ),
    MethodSpec(
        name="imate",
        family=FAMILY,
        target=f"{_HOME}:Imate",
        summary="imate.logdet on the sparse matrix itself; its products cannot be intercepted.",
        references=("github.com/ameli/imate",),
        claims=(_SIGN,),
        needs=frozenset({"spd", "entries"}),
        requires="imate",
        install=_INSTALL,
    ),
    MethodSpec(
        name="curvlinops",
        family=FAMILY,
        target=f"{_HOME}:Curvlinops",
        summary="Hutchinson, Hutch++ and XTrace of curvlinops; products counted.",
        references=("Dangel et al. 2025, arXiv:2501.19183",),
        claims=(Claimed(name="unbiased"),),
        cost="vectors",
        needs=frozenset({"trace"}),
        requires="curvlinops",
        install=_INSTALL,
    ),
)
