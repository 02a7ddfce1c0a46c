from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_logdet import Bounds, Operator
from kexue_logdet.methods.neumann_roulette import NeumannRoulette
from kexue_logdet.methods.russian_roulette import RussianRoulette
from kexue_logdet.roulette import Stopping
from kexue_logdet.tasks.residual_variances import (
    exact_variance,
    partial_exact_trace_variance,
    roulette_parts,
)
from kexue_logdet.variances import probe_variance

# One Rademacher probe: (p, certain) -> variance, and the part that an exact trace would leave. By the closed form
# Var(v^T R_1 v) + sum_k (1/p_k - 1/p_(k-1)) E (v^T R_k v)^2, and by enumerating all 64 sign vectors and every T.
TABLE = {
    ("cyc6_c0.5", 0.5, 0): (1.8913481323, 0.0077192260),
    ("cyc6_c0.5", 0.5, 2): (1.6900800859, 0.0017437984),
    ("cyc6_c0.5", 0.2, 2): (1.6863876282, None),
    ("cyc6_c0.7", 0.5, 0): (6.8316058508, 0.7091071946),
    ("cyc6_c0.7", 0.5, 2): (4.4885867155, 0.1655270264),
    ("cyc6_c0.7", 0.5, 20): (4.1270783718, None),
    ("cyc6_c0.7", 0.2, 2): (4.1611871794, None),
    ("mod7_6", 0.5, 0): (0.6556563815, None),
    ("mod7_6", 0.5, 2): (0.6163765422, None),
    ("mod7_6", 0.5, 20): (0.6162571121, None),
    ("mod7_6", 0.2, 2): (0.6162853022, None),
    ("mod11_6", 0.5, 0): (0.2450234418, None),
    ("mod11_6", 0.5, 2): (0.2423874202, None),
    ("mod11_6", 0.2, 2): (0.2423866283, None),
    ("mlp6_c0.7", 0.5, 0): (0.9504660058, 0.6060851625),
    ("mlp6_c0.7", 0.5, 2): (0.2864255633, 0.0273677233),
    ("mlp6_c0.7", 0.5, 20): (0.2482631519, None),
    ("mlp6_c0.7", 0.2, 2): (0.2538280569, None),
    ("bidiag6", 0.5, 0): (1.3939635352, None),
    ("bidiag6", 0.5, 2): (0.4832641722, None),
    ("bidiag6", 0.5, 20): (0.3607354943, None),
    ("bidiag6", 0.2, 2): (0.3685201929, None),
    ("mlp6_c0.9", 0.1, 0): (0.5907034966, None),
    ("negdiag6", 0.1, 0): (23.0239238276, None),
}
TRUTH = {
    "cyc6_c0.5": math.log1p(-(0.5**6)),
    "cyc6_c0.7": math.log1p(-(0.7**6)),
    "mod7_6": math.log(27807 / 40000),
    "mod11_6": math.log(418058591 / 512000000),
    "bidiag6": 6 * math.log(1.5),
}


class Sized:
    """A stream that returns every sign vector, all with the same number of terms under the geometric distribution."""

    def __init__(self, signs, terms, law):
        self.signs, self.terms, self.law = signs, terms, law

    def rademacher(self, *shape):
        return self.signs.reshape(shape)

    def integers(self, high, *shape):
        # Half a step into the cell of u that gives N = terms - certain.
        n = self.terms - self.law.certain
        q = 1 - self.law.probability
        u = (q ** (n - 1) + q**n) / 2
        return torch.full(shape, int(u * high))


@pytest.mark.parametrize(("name", "p", "certain"), TABLE)
def test_closed_form_variance_is_the_tabled_one(name, p, certain, matrix):
    """Variance of one Rademacher probe, and the part of the cut alone, for every matrix, p and number of terms."""
    variance, cut = TABLE[name, p, certain]
    method = RussianRoulette(probability=p, certain=certain, probes=1)
    assert exact_variance(method, matrix[name]) == pytest.approx(variance, abs=5e-10)
    if cut is not None:
        parts = roulette_parts(matrix[name].unsqueeze(0), method.law(), "rademacher")
        assert parts[1] == pytest.approx(cut, abs=5e-10)


@pytest.mark.parametrize("method", [RussianRoulette, NeumannRoulette])
@pytest.mark.parametrize(("name", "p", "certain"), [("bidiag6", 0.5, 2), ("mod7_6", 0.5, 0), ("cyc6_c0.5", 0.2, 2)])
def test_mean_and_variance_by_enumeration(method, name, p, certain, matrix, signs):
    """Over all sign vectors and all T up to where P(T > t) < 1e-13, mean and variance are truth and closed form."""
    method = method(probability=p, certain=certain, probes=1)
    law = method.law()
    first = second = 0.0
    for n in range(1, math.ceil(math.log(1e-13) / math.log(1 - p))):
        op = Operator.of(matrix[name], "residual").within(budget=2**20, repeats=64)
        got = method.estimate(op, 2**20, Sized(signs, certain + n, law), 64)
        assert op.spent == 64 * (certain + n) == int(got.products.sum())
        weight = p * (1 - p) ** (n - 1)
        first += weight * float(got.value.mean())
        second += weight * float(got.value.square().mean())
    assert first == pytest.approx(TRUTH[name], abs=1e-7)
    assert second - first**2 == pytest.approx(exact_variance(method, matrix[name]), rel=1e-4)


@pytest.mark.parametrize(("name", "radius"), [("mlp6_c0.9", 0.895204719252131), ("cyc6_c0.9", 0.9), ("negdiag6", 0.9)])
def test_variance_is_infinite_exactly_beyond_the_rule(name, radius, matrix):
    """rho^2 < 1 - p is the border: finite just inside of it, infinite just outside, whatever `certain` is."""
    for certain in (0, 2, 20):
        outside = RussianRoulette(probability=1 - radius**2 + 1e-3, certain=certain)
        inside = RussianRoulette(probability=1 - radius**2 - 0.02, certain=certain)
        assert exact_variance(outside, matrix[name]) == math.inf
        assert math.isfinite(exact_variance(inside, matrix[name]))


@pytest.mark.parametrize("name", ["mlp6_c0.5", "mod11_6", "bidiag6"])
def test_poisson_variance_never_exists(name, matrix):
    """1 / P(N >= k) grows like k!, faster than any power of J shrinks."""
    assert exact_variance(RussianRoulette(stopping="poisson"), matrix[name]) == math.inf


@pytest.mark.parametrize(
    ("c", "figures"),
    [
        (0.5, {5: 0.000907607, 10: 0.000978149, 20: 0.00585987, 30: 184.27, 40: 267277000.0, 60: 8.62936e23}),
        (0.9, {5: 0.189797, 10: 16.4623, 20: 331057000.0, 30: 1.82477e18, 40: 3.48388e29, 60: 1.86029e55}),
    ],
)
def test_poisson_variance_diverges_term_by_term(c, figures, matrix):
    """Partial sums of the variance with exact traces, rate 2, two certain terms: six digits of each."""
    law = Stopping(law="poisson", probability=0.5, rate=2.0, certain=2)
    for drawn, expected in figures.items():
        assert partial_exact_trace_variance(matrix[f"mlp6_c{c}"], law, drawn) == pytest.approx(expected, rel=1e-5)


def test_probe_variance_is_the_enumerated_one(matrix, signs):
    """Tr J of bidiag6 by one sign vector: 0.8, where the formula for symmetric matrices would say 1.6."""
    j = matrix["bidiag6"]
    values = ((signs @ j) * signs).sum(1)
    assert float(values.var(correction=0)) == pytest.approx(0.8, abs=1e-14)
    assert float(probe_variance(j.unsqueeze(0), "rademacher")) == pytest.approx(0.8, abs=1e-14)


@pytest.mark.parametrize("law", ["geometric", "poisson"])
def test_survival_is_that_of_the_draws(law):
    """P(T >= k) by the formula against the closed form: a geometric tail, and a Poisson tail summed term by term."""
    stopping = Stopping(law=law, probability=0.3, rate=2.0, certain=3)
    got = stopping.survival(12).tolist()
    if law == "geometric":
        expected = [1, 1, 1, 1] + [0.7**j for j in range(1, 9)]
    else:
        mass = [math.exp(-2) * 2**i / math.factorial(i) for i in range(60)]
        expected = [1, 1, 1] + [sum(mass[j:]) for j in range(1, 10)]
    assert got == pytest.approx(expected, rel=1e-13)


@pytest.mark.statistical
@pytest.mark.parametrize(("law", "mean", "variance"), [("geometric", 3 + 1 / 0.3, 0.7 / 0.09), ("poisson", 5.0, 2.0)])
def test_numbers_of_terms_follow_the_law(law, mean, variance):
    """40,000 draws: the mean within 4.5 standard errors (false alarm 7e-6), and never fewer than is certain."""
    stopping = Stopping(law=law, probability=0.3, rate=2.0, certain=3)
    assert stopping.mean == pytest.approx(mean)
    terms = stopping.draw(Noise.seeded(3), 40_000).double()
    assert float(terms.mean()) == pytest.approx(mean, abs=4.5 * math.sqrt(variance / 40_000))
    assert terms.min() >= 3


def test_a_float32_stream_draws_long_series():
    """The smallest u is 2^-54 whatever the dtype: p = 1/2 can give 55 terms; a float32 uniform would end at 25."""
    u = Stopping(law="geometric", probability=0.5, rate=1.0, certain=0).draw(Smallest(), 1)
    assert int(u) == 55


class Smallest:
    """A stream whose integers are all 0."""

    def integers(self, high, *shape):
        assert high == 2**53
        return torch.zeros(shape, dtype=torch.int64)


@pytest.mark.parametrize("method", [RussianRoulette(probability=0.3), NeumannRoulette(probability=0.3)])
def test_products_are_the_drawn_terms(method, matrix):
    """Each column leaves the block when its series has ended: the count is the sum of T, also by repeat."""
    op = Operator.of(matrix["bidiag6"], "residual").within(budget=40, repeats=50, in_expectation=True)
    got = method.estimate(op, 40, Noise.seeded(1, dtype=torch.float64), 50)
    assert op.spent == int(got.products.sum())
    assert got.products.shape == (50,)
    assert got.products.min() >= 5 * 3


@pytest.mark.parametrize("method", [RussianRoulette, NeumannRoulette])
def test_stopping_by_the_norm_is_geometric_with_what_it_leaves(method, matrix):
    """A bound of 0.7 gives p = 0.3, number for number and product for product, without extra products."""
    bounded = Operator.of(matrix["mlp6_c0.7"], "residual", bounds=Bounds(norm=0.7, provenance="proven"))
    got, fixed = (
        choice.estimate(bounded, 100, Noise.seeded(4, dtype=torch.float64), 9)
        for choice in (method(stopping="norm"), method(probability=1 - 0.7))
    )
    assert torch.equal(got.value, fixed.value)
    assert torch.equal(got.products, fixed.products)


@pytest.mark.parametrize("c", [0.5, 0.7, 0.9, 0.98])
def test_stopping_by_the_norm_has_a_variance_where_one_half_has_none(c):
    """c^2 < 1 - p = c for every c below 1; with p = 1/2 the border is c = 0.7071. On c times the cyclic shift, rho = c;
    the closed form agrees with that of the fixed p.
    """
    shift = c * torch.eye(6, dtype=torch.float64).roll(1, dims=1)
    found = exact_variance(RussianRoulette(stopping="norm"), shift, norm=c)
    assert found == pytest.approx(exact_variance(RussianRoulette(probability=1 - c), shift))
    assert math.isinf(exact_variance(RussianRoulette(probability=0.5), shift)) == (c > 0.7071)
    assert exact_variance(RussianRoulette(stopping="norm"), shift) is None


@pytest.mark.parametrize("method", [RussianRoulette, NeumannRoulette])
def test_an_unknown_norm_is_paid_for_by_each_repeat(method, matrix):
    """Three power iterations are five products per repeat, counted as bounds and among those of the sample."""
    counter = Counter()
    op = Operator.of(matrix["mlp6_c0.7"], "residual").within(
        budget=100, repeats=20, counter=counter, in_expectation=True
    )
    got = method(stopping="norm", bound_steps=3).estimate(op, 100, Noise.seeded(2, dtype=torch.float64), 20)
    assert counter.units["bounds"] == 20 * 5
    assert counter.units["products"] == op.spent == int(got.products.sum())


@pytest.mark.statistical
def test_an_estimated_norm_leaves_the_mean_right():
    """Each repeat has a p of its own, drawn from its own vector: unbiased all the same. J = diag(-0.7, 0.1, ..), whose
    |J v| / |v| ranges from 0.1 to 0.7; 40,000 repeats, 5 standard errors (false alarm 6e-7).
    """
    op = Operator.of(torch.diag(torch.tensor([-0.7] + [0.1] * 5, dtype=torch.float64)), "residual")
    method = RussianRoulette(stopping="norm", bound_steps=1, probes=2, certain=0)
    value = method.estimate(op, 1000, Noise.seeded(3, dtype=torch.float64), 40_000).value
    truth = math.log(0.3) + 5 * math.log(1.1)
    assert float(value.mean()) == pytest.approx(truth, abs=5 * float(value.std()) / 200)


def test_a_norm_of_one_or_more_is_refused(matrix):
    """No valid p exists, and the power series may diverge."""
    op = Operator.of(2 * matrix["mlp6_c0.7"], "residual", bounds=Bounds(norm=1.4, provenance="proven"))
    with pytest.raises(ValueError, match=r"needs a norm in \(0, 1\), got 1.4; use golub-kahan-slq"):
        RussianRoulette(stopping="norm").estimate(op, 100, Noise.seeded(0, dtype=torch.float64), 1)


def test_both_give_the_same_value(matrix):
    """The value of neumann-roulette is that of russian-roulette, number for number: only the gradients differ."""
    values = [
        method()
        .estimate(Operator.of(matrix["mlp6_c0.9"], "residual"), 100, Noise.seeded(4, dtype=torch.float64), 9)
        .value
        for method in (RussianRoulette, NeumannRoulette)
    ]
    assert torch.equal(*values)


def differentiable_operator(c, unit):
    return Operator(
        kind="residual", n=6, product=lambda v: c * (unit @ v), transposed=lambda v: c * (unit.mT @ v), params=(c,)
    )


@pytest.mark.parametrize("method", [RussianRoulette, NeumannRoulette])
def test_surrogate_gradient_is_unbiased_by_enumeration(method, matrix, signs):
    """d/dc log det(I + c J_1) of mlp6 at c = 0.5: over all signs and T the mean of backward is tr((I + J)^-1 J_1)."""
    unit = matrix["mlp6_c0.5"] / 0.5
    truth = float(torch.linalg.solve(torch.eye(6, dtype=unit.dtype) + 0.5 * unit, unit).trace())
    method = method(probability=0.5, certain=1, probes=1)
    total = 0.0
    for n in range(1, 54):
        c = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        noise = Sized(signs, 1 + n, method.law())
        got = method.estimate(differentiable_operator(c, unit), 2**20, noise, 64)
        got.surrogate.mean().backward()
        total += 0.5**n * float(c.grad)
        assert not got.value.requires_grad
    assert total == pytest.approx(truth, abs=1e-6)


def test_the_value_of_the_neumann_surrogate_is_no_logdet(matrix, signs):
    """Its coefficients are those of x / (1 + x): the mean is tr(J (I + J)^-1), 2 against 2.43."""
    j = matrix["bidiag6"]
    method, mean = NeumannRoulette(probability=0.5, certain=1, probes=1), 0.0
    for n in range(1, 54):
        c = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        got = method.estimate(differentiable_operator(c, j), 2**20, Sized(signs, 1 + n, method.law()), 64)
        mean += 0.5**n * float(got.surrogate.detach().mean())
    assert mean == pytest.approx(6 * 0.5 / 1.5, abs=1e-6)
    assert abs(mean - 6 * math.log(1.5)) > 0.4


def test_the_gradient_of_neumann_costs_one_product_a_probe(matrix):
    """Chains run without a graph; the last block product is counted separately as `backward`."""
    unit = matrix["mlp6_c0.5"]
    c = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    op = differentiable_operator(c, unit).within(budget=100, repeats=4, in_expectation=True)
    got = NeumannRoulette().estimate(op, 100, Noise.seeded(0, dtype=torch.float64), 4)
    plain = NeumannRoulette().estimate(Operator.of(unit, "residual"), 100, Noise.seeded(0, dtype=torch.float64), 4)
    assert (got.products - plain.products).tolist() == [5] * 4
    assert op.spent == int(got.products.sum())


@pytest.mark.parametrize("method", [RussianRoulette(), NeumannRoulette()])
def test_an_spd_operator_is_refused(method):
    """The series is that of log(I + J)."""
    with pytest.raises(ValueError, match="needs a residual operator, got an spd one; use slq"):
        method.estimate(Operator.of(torch.eye(3), "spd"), 100, Noise.seeded(0), 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": 0.0}, r"probability must be in \(0, 1\), got 0.0"),
        ({"stopping": "fixed"}, "stopping must be one of geometric, norm, poisson"),
        ({"rate": 0.0}, "rate must be > 0"),
        ({"certain": -1}, "certain must be >= 0"),
        ({"bound_steps": 0}, "bound_steps must be >= 1"),
    ],
)
def test_bad_parameters_say_what_was_got(arguments, message):
    """Refused when the method is built."""
    with pytest.raises(ValueError, match=message):
        RussianRoulette(**arguments)
