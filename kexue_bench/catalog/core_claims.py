"""The claims that the core can check for methods of every family, and the rule for PASS, FAIL or UNDECIDED."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from ..api import ClaimSpec, Evidence, Of

ALPHA = 1e-4
"""Level of one claim's test: a constant, so that a verdict does not depend on the other claims of a call."""

COST = "declared-cost"
"""The claim of every method that declares what a draw costs."""

ClaimVerdict = Literal["PASS", "FAIL", "UNDECIDED"]

_CHECKS = "kexue_bench.lab.claims"
_PROMISES = "kexue_bench.lab.promises"

CORE_CLAIMS: tuple[ClaimSpec, ...] = (
    ClaimSpec(
        name="unbiased",
        target=f"{_CHECKS}:unbiased",
        summary="the mean of the draws is the truth",
    ),
    ClaimSpec(
        name="finite-variance",
        target=f"{_CHECKS}:finite_variance",
        summary="the variance exists, by a closed form or an enumeration of the task: sampling cannot establish it",
    ),
    ClaimSpec(
        name="deterministic",
        target=f"{_CHECKS}:deterministic",
        summary="other noise gives the same bits",
    ),
    ClaimSpec(
        name=COST,
        target=f"{_CHECKS}:declared_cost",
        summary="the counted work of a draw is the declared one",
    ),
    ClaimSpec(
        name="repeatable",
        target=f"{_CHECKS}:repeatable",
        summary="the same noise gives the same bits",
        always=True,
    ),
    ClaimSpec(
        name="own-stream",
        target=f"{_CHECKS}:own_stream",
        summary="the global generators are neither used nor seeded",
        always=True,
    ),
    ClaimSpec(
        name="pure",
        target=f"{_CHECKS}:pure",
        summary="inputs and global settings are left as they were",
        always=True,
    ),
    ClaimSpec(
        name="shape-and-dtype",
        target=f"{_CHECKS}:shape_and_dtype",
        summary="draws have the shape of the truth, the asked dtype and device",
        always=True,
    ),
    ClaimSpec(
        name="finite",
        target=f"{_CHECKS}:finite",
        summary="every draw is a finite number",
        always=True,
    ),
    ClaimSpec(
        name="independent-rows",
        target=f"{_CHECKS}:independent_rows",
        summary="a batch of R draws is distributed as R single draws: rows are uncorrelated",
        always=True,
    ),
    *(
        ClaimSpec(
            name=name,
            of="training",
            target=f"{_PROMISES}:training_{name.replace('-', '_')}",
            summary=summary,
            always=True,
        )
        for name, summary in (
            ("repeatable", "two builds and three steps of each give the same bits"),
            ("own-stream", "the global generators are neither used nor seeded"),
            ("pure", "batches, shared data and global settings are left as they were"),
            ("finite", "losses and parameters of the first steps are finite numbers"),
            ("stacked", "a stack of two replicates equals its singles"),
        )
    ),
    *(
        ClaimSpec(
            name=name,
            of="subject",
            target=f"{_PROMISES}:subject_{name.replace('-', '_')}",
            summary=summary,
            always=True,
        )
        for name, summary in (
            ("repeatable", "a subject measured twice gives the same records"),
            ("own-stream", "the global generators are neither used nor seeded"),
            ("pure", "shared data and global settings are left as they were"),
            ("finite", "every recorded value is a finite number"),
        )
    ),
)


GENERAL: Mapping[Of, frozenset[str]] = {
    of: frozenset(spec.name for spec in CORE_CLAIMS if spec.always and spec.of == of) for of in get_args(Of)
}
"""What every method promises by taking part, for its draws, its trainings and its subjects."""


def decide(evidence: Evidence, *, alpha: float = ALPHA) -> ClaimVerdict:
    """Read the evidence of one claim.

    A test that rejects is a FAIL. One that does not is a PASS only if it would have caught a violation that matters.
    Where no test applies, the measured violation itself is compared with the tolerance.
    """
    if evidence.value is None:
        return "UNDECIDED"
    if evidence.p is None:
        return "PASS" if evidence.value <= evidence.tolerance else "FAIL"
    if evidence.p < alpha:
        return "FAIL"
    if evidence.detectable is not None and evidence.detectable <= evidence.tolerance:
        return "PASS"
    return "UNDECIDED"
