"""Printed figures of the family that a run shows beside ours. Nothing here imports torch.

Ranges were fixed before ours was measured: rounding of the printed digits where a number is printed, what the sentence
says where there is a sentence.
"""

from __future__ import annotations

from kexue_bench.api import PublishedSpec

_FAMILY = "orthogonality"
_EXPRESS = "Amsel et al. 2025, arXiv:2505.16932"
_OWN_PROTOCOL = "sign-iteration[low=0.001,steps=8]"
"""Algorithm 1 is made for singular values from 1e-3 to 1, and prints eight polynomials."""
_ROWS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)
# The last two rows sit where the interval is so short that the printed digits depend on rounding.
_RELATIVE = (1e-12,) * 6 + (1e-9, 1e-7)


def _coefficient(row: int, power: int) -> PublishedSpec:
    term, value, width = f"{'abc'[power]}{row + 1}", _ROWS[row][power], _RELATIVE[row]
    ends = sorted((value * (1 - width), value * (1 + width)))
    return PublishedSpec(
        name=f"polar-express-{term}",
        family=_FAMILY,
        task=_OWN_PROTOCOL,
        method="polar-express",
        metric=f"coefficient[term={term}]",
        source=f"{_EXPRESS}, algorithm 1",
        value=value,
        low=ends[0],
        high=ends[1],
    )


def _curve(
    name: str,
    method: str,
    metric: str,
    statement: str,
    *,
    steps: int = 11,
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> PublishedSpec:
    return PublishedSpec(
        name=name,
        family=_FAMILY,
        task=f"sign-iteration[steps={steps}]",
        method=method,
        metric=metric,
        source=f"{_EXPRESS}, figure 4 and section 5.1",
        value=value,
        low=low,
        high=high,
        statement=statement,
    )


def _express(lower: str) -> str:
    return f"polar-express[lower={lower},cushion=0.0,safety=1.0]"


PUBLISHED: tuple[PublishedSpec, ...] = (
    *(_coefficient(row, power) for row in range(len(_ROWS)) for power in range(3)),
    _curve("jordan-before", "muon", "sign-error", "not at its plateau before iteration 11", steps=10, low=0.323),
    _curve("jordan-plateau", "muon", "sign-error", "about .3 after 11 iterations", value=0.3, low=0.313, high=0.323),
    _curve("jordan-no-further", "muon", "sign-error", "then no further", steps=17, low=0.313, high=0.323),
    _curve(
        "newton-schulz-stalls",
        "newton-schulz[degree=5]",
        "sign-error",
        "almost no progress in the first 17 iterations",
        steps=17,
        low=0.9,
    ),
    _curve("polar-express-at-11", _express("0.000001"), "sign-error", "excellent accuracy after 11", high=1e-3),
    _curve(
        "polar-express-large-bound",
        _express("0.0001"),
        "below-jordan",
        "passes Jordan at iteration 13 or 14",
        low=13,
        high=14,
    ),
    _curve(
        "polar-express-small-bound",
        _express("0.00000001"),
        "below-jordan",
        "passes Jordan at iteration 13 or 14",
        low=13,
        high=14,
    ),
    PublishedSpec(
        name="polar-express-safety",
        family=_FAMILY,
        task=_OWN_PROTOCOL,
        method="polar-express",
        metric="fixed-point",
        source=f"{_EXPRESS}, section 4.4",
        value=0.999998,
        low=0.999998 - 5e-7,
        high=0.999998 + 5e-7,
    ),
    *(
        PublishedSpec(
            name=f"muon-{end}",
            family=_FAMILY,
            task="sign-iteration[low=0.01,steps=5]",
            method="muon",
            metric=f"sigma-{end}",
            source="repository KellerJordan/Muon, docstring of zeropower_via_newtonschulz5",
            low=0.5,
            high=1.5,
            statement="singular values like Uniform(.5, 1.5) after 5 steps",
        )
        for end in ("low", "high")
    ),
    PublishedSpec(
        name="convolution-spectrum",
        family=_FAMILY,
        task="convolution-spectrum",
        method="none",
        metric="spectrum-error",
        source="Sedghi, Gupta and Long 2019, arXiv:1805.10408, repository brain-research/conv-sv",
        high=1e-10,
        statement="the Fourier transform gives all singular values",
    ),
)
