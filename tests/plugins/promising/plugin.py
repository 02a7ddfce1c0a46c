"""Registration: `lines` has trained tasks only, `waves` subject tasks only; each has mutants of the core's promises."""

from __future__ import annotations

from kexue_bench import ClaimSpec, FamilySpec, MethodSpec, MetricSpec, TaskSpec, hookimpl

TRAINING_BREAKS = {
    "forgetful": "repeatable",
    "line-global": "own-stream",
    "line-seeding": "own-stream",
    "writing": "pure",
    "line-careless": "pure",
    "exploding": "finite",
    "averaging": "stacked",
    "climbing": "descends",
}
"""Method of `lines` -> the claim of trainings that it breaks."""
SUBJECT_BREAKS = {
    "counting": "repeatable",
    "wave-global": "own-stream",
    "wave-seeding": "own-stream",
    "wave-careless": "pure",
    "undefined": "finite",
    "shifted": "odd",
}
"""Method of `waves` -> the claim of subjects that it breaks."""


def _method(family: str, name: str, *claims: str) -> MethodSpec:
    parts = name.removeprefix("line-").removeprefix("wave-").split("-")
    target = f"promising.{family}:{''.join(map(str.capitalize, parts))}"
    return MethodSpec(name=name, family=family, target=target, summary=name, claims=claims)


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """A family of trainings and a family of subjects."""
    return [
        FamilySpec(
            name=name,
            title=name,
            summary=name,
            contract=f"promising.{name}:Method",
            precision_metric="error",
            baseline=baseline,
            headline=("error",),
        )
        for name, baseline in (("lines", "honest"), ("waves", "sine"))
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """An honest method of each family, and one for each promise that it breaks."""
    return [
        # `unbiased` can be checked of draws only, which no task here has.
        _method("lines", "honest", "descends", "unbiased"),
        *(_method("lines", name, "descends") for name in TRAINING_BREAKS),
        _method("waves", "sine", "odd"),
        MethodSpec(name="importing", family="waves", target="promising.missing:Importing", summary="needs a package"),
        *(_method("waves", name, "odd") for name in SUBJECT_BREAKS),
    ]


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Neither family of tasks is in the quick suite; `line` and `wave` name what is checked in it."""
    return [
        TaskSpec(
            name="line",
            family="lines",
            target="promising.lines:Line",
            summary="Fit a line.",
            version=1,
            kind="trained",
            stack=3,
            suites={"standard": ("line[features=[2,4]]",), "verify": ("line[steps=3]",)},
        ),
        TaskSpec(
            name="single-line",
            family="lines",
            target="promising.lines:Line",
            summary="Fit a line, one replicate at a time.",
            version=1,
            kind="trained",
            suites={"full": ("single-line",)},
        ),
        TaskSpec(
            name="wave",
            family="waves",
            target="promising.waves:Wave",
            summary="Values of a wave at random places.",
            version=1,
            kind="subject",
            suites={"standard": ("wave",), "verify": ("wave[places=4]",)},
        ),
    ]


@hookimpl
def kexue_claims() -> list[ClaimSpec]:
    """One claim of trainings and one of subjects."""
    return [
        ClaimSpec(
            name="descends", family="lines", of="training", target="promising.lines:descends", summary="the loss falls"
        ),
        ClaimSpec(name="odd", family="waves", of="subject", target="promising.waves:odd", summary="f(-x) is -f(x)"),
    ]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """One metric, of both."""
    return [MetricSpec(name="error", family=family) for family in ("lines", "waves")]
