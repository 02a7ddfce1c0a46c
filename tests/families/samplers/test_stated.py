"""Numbers beside their closed form: every one lies within 4.5 standard errors of it."""

from __future__ import annotations

import pytest

from kexue_bench.errors import NotOffered
from kexue_energy import AnnealedLangevin, Decoupled, Hmc, Mala, Ula
from kexue_energy.samplers.tasks.stated import Acceptance, Annealing, Temperature


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("task", "method", "name", "exact"),
    [
        (Acceptance(dim=10), Mala(h=0.5), "acceptance", 0.700933576519),
        (Acceptance(dim=10), Hmc(eps=1.5, leaps=2), "acceptance", 0.745628563678),
        (Annealing(), AnnealedLangevin(steps=100), "law", 1.061415441),
        (Temperature(), Decoupled(rate=10.0, sd=0.005), "temperature", 1.25e-6 / 0.99),
        (Temperature(), Decoupled(rate=1.0, sd=0.01), "temperature", 5e-5 / 0.99),
        (Temperature(), Decoupled(rate=100.0, sd=0.001), "temperature", 5e-9 / 0.99),
    ],
    ids=repr,
)
def test_the_number_is_the_closed_form(context, task, method, name, exact):
    """Temperatures of the released codes are 1.25e-6, 5e-5 and 5e-9, at rate theta = 0.02 over 0.99."""
    ctx = context()
    task.evaluate(method, ctx)
    found = {row.metric: row for row in ctx.measurements}
    assert found[f"exact-{name}"].value == pytest.approx(exact, rel=1e-9)
    assert abs(found[name].value - exact) < 4.5 * (found[name].high - found[name].low) / (2 * 1.96)


def test_what_has_no_such_number_is_not_offered(context):
    """A status of the case, not a crash."""
    for task in (Acceptance(), Annealing(), Temperature()):
        with pytest.raises(NotOffered):
            task.evaluate(Ula(), context())


def test_a_clamped_gradient_is_flagged(context):
    """It changes the law."""
    ctx = context()
    Temperature().evaluate(Decoupled(rate=1.0, sd=0.01, clamp=0.01), ctx)
    assert ctx.measurements[0].flags == {"clamped gradients change the law"}
