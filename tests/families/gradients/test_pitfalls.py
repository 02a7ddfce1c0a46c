"""What the literature and other tools get wrong about these estimators, each as a fact that is tested."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from kexue_bench.lab.noise import Noise
from kexue_gradients import (
    Arms,
    Darn,
    DecoupledSt,
    Disarm,
    Distribution,
    DoubleCv,
    Exact,
    FunctionObjective,
    GappedStraightThrough,
    GumbelRao,
    Imle,
    Nvil,
    Rebar,
    Reinforce,
    ReinMax,
    Rloo,
    StGumbelSoftmax,
    StraightThrough,
    Stratified,
)
from kexue_gradients.exact_moments import exact_moments
from kexue_gradients.methods.conditional import perturbed_given

DOUBLE = torch.float64
BOTH = torch.tensor([[0.0], [1.0]], dtype=DOUBLE)


def seeded(seed=0):
    return Noise.seeded(seed, dtype=DOUBLE)


def bit(theta):
    return Distribution(kind="bernoulli", logits=torch.tensor([theta], dtype=DOUBLE))


def classes(*logits):
    return Distribution(kind="categorical", logits=torch.tensor([logits], dtype=DOUBLE))


def toy(power, t=0.45):
    return FunctionObjective(lambda x: ((x - t).abs() ** power).sum(-1))


def moments(method, law, f):
    """Exact mean and variance for one bit, of a method that draws one sample and nothing else."""
    law_of_both = Distribution(kind="bernoulli", logits=law.logits)
    object.__setattr__(law_of_both, "sample", lambda noise, *leading: BOTH)
    p = float(law.mean)
    off, on = method.estimate(law_of_both, f, seeded(), 2).gradient.flatten().tolist()
    mean = (1 - p) * off + p * on
    return mean, (1 - p) * (off - mean) ** 2 + p * (on - mean) ** 2


def true_gradient(law, f):
    off, on = f.value(BOTH).tolist()
    p = float(law.mean)
    return p * (1 - p) * (on - off)


@pytest.mark.parametrize("theta", [-1.2, 0.5, 2.0])
def test_the_quadratic_toy_cannot_rank_second_order_methods(theta):
    """ReinMax has no bias there and straight-through has; at powers 1.5 and 3 both have."""
    law = bit(theta)
    quadratic = toy(2.0)
    assert moments(ReinMax(), law, quadratic)[0] == pytest.approx(true_gradient(law, quadratic), abs=1e-14)
    assert abs(moments(StraightThrough(), law, quadratic)[0] - true_gradient(law, quadratic)) > 1e-2
    for power in (1.5, 3.0):
        f = toy(power)
        for method in (ReinMax(), StraightThrough()):
            assert abs(moments(method, law, f)[0] - true_gradient(law, f)) > 1e-3


def test_reinmax_is_zgr():
    """At temperature 1 it is the mean of straight-through and DARN, sample by sample, for bits and for classes."""
    for law in (bit(0.7), classes(0.5, -0.3, 0.2)):
        f = FunctionObjective(lambda x: (x.flatten(1) @ torch.arange(1.0, x[0].numel() + 1).to(x.dtype)) ** 3)
        zgr, straight, darn = (
            method.estimate(law, f, seeded(1), 50).gradient for method in (ReinMax(), StraightThrough(), Darn())
        )
        torch.testing.assert_close(zgr, (straight + darn) / 2, rtol=1e-12, atol=1e-13)


def test_zgr_is_the_limit_of_gumbel_rao():
    """At a small temperature and with many draws the Jacobian given the sample tends to ReinMax's."""
    law = classes(0.5, -0.3, 0.2)
    f = FunctionObjective(lambda x: ((x @ torch.tensor([-1.0, 0.5, 2.0], dtype=DOUBLE)).squeeze(-1) - 0.45) ** 2)
    x = torch.eye(3, dtype=DOUBLE).unsqueeze(1)
    object.__setattr__(law, "sample", lambda noise, *leading: x)
    limit = ReinMax().estimate(law, f, seeded(), 3).gradient
    near = GumbelRao(temperature=0.02, draws=400_000).estimate(law, f, seeded(), 3).gradient
    torch.testing.assert_close(near, limit, rtol=0.05, atol=0.05)


def test_a_temperature_of_reinmax_is_a_bias():
    """At 1.3 it is off by 0.0151 at theta = 0.5 on the quadratic toy, 64 % of the true gradient."""
    law, f = bit(0.5), toy(2.0)
    bias = moments(ReinMax(temperature=1.3), law, f)[0] - true_gradient(law, f)
    assert bias == pytest.approx(0.0151034777, abs=1e-9)
    assert bias / true_gradient(law, f) == pytest.approx(0.64, abs=0.01)


def test_relaxed_methods_depend_on_f_off_the_vertices():
    """(b - t)^2 and its linear twin (1 - 2 t) b + t^2 agree on 0 and 1; their straight-through gradients do not."""
    law = bit(0.5)
    twin = FunctionObjective(lambda x: ((1 - 0.9) * x + 0.45**2).sum(-1))
    assert toy(2.0).value(BOTH).tolist() == pytest.approx(twin.value(BOTH).tolist())
    assert true_gradient(law, twin) == pytest.approx(moments(StraightThrough(), law, twin)[0], abs=1e-14)
    assert moments(StraightThrough(), law, toy(2.0))[0] == pytest.approx(0.0810571661, abs=1e-9)
    black_box = [Rloo().estimate(law, f, seeded(2), 9).gradient for f in (toy(2.0), twin)]
    torch.testing.assert_close(*black_box, rtol=1e-12, atol=1e-14)


def test_the_best_constant_baseline_is_not_the_mean_of_f():
    """`(1 - p) f(1) + p f(0)` leaves no variance for one bit; E f leaves some, except at p = 1/2."""
    f = toy(2.0)
    off, on = f.value(BOTH).tolist()
    for theta in (0.0, 0.5, -1.2):
        law = bit(theta)
        p = float(law.mean)
        best = Reinforce(baseline="constant", value=(1 - p) * on + p * off)
        mean = Reinforce(baseline="constant", value=(1 - p) * off + p * on)
        assert moments(best, law, f)[1] == pytest.approx(0.0, abs=1e-18)
        expected = p * (1 - p) * ((1 - 2 * p) * (on - off)) ** 2
        assert moments(mean, law, f)[1] == pytest.approx(expected, abs=1e-15)


@pytest.mark.statistical
def test_reinforce_averaged_and_rloo_scale_differently():
    """REINFORCE averaged over n has a variance of 1/n; RLOO with n is not RLOO with 2 times 2/n.

    The closed form `D^2 (mu4 / n - v^2 (n - 3) / (n (n - 1)))` at n = 8 against twice 2^16 draws; a relative standard
    error of the variance below 1 %, so 5 % is more than 5 sigma.
    """
    law, f = bit(0.5), toy(2.0)
    two, eight = (float(Rloo(n=n).estimate(law, f, seeded(n), 2**16).gradient.var()) for n in (2, 8))
    assert eight == pytest.approx(3.73447539e-5, rel=0.05)
    assert eight < 0.3 * two * 2 / 8


def test_a_pair_of_arms_is_disarm():
    """With n = 2 the copula is antithetic and the weight max(p, 1 - p): sample by sample DisARM, at equal evaluations.

    n evaluations of ARMS are n / 2 pairs of DisARM; the two are compared only at n = 2.
    """
    law = Distribution(kind="bernoulli", logits=torch.tensor([-2.0, 0.3, 1.7], dtype=DOUBLE))
    f = FunctionObjective(lambda x: (x.sum(-1) ** 2).sin())
    e = seeded().exponential(40, 2, 3)

    class Replay:
        def exponential(self, *shape):
            return e.reshape(shape)

        def uniform(self, *shape):
            # The copula's first uniform, mirrored where ARMS draws the flipped bit.
            u = e[:, 1] / e.sum(1)
            return torch.where(law.logits <= 0, u, 1 - u).reshape(shape)

    arms = Arms(n=2).estimate(law, f, Replay(), 40).gradient
    torch.testing.assert_close(arms, Disarm().estimate(law, f, Replay(), 40).gradient, rtol=1e-9, atol=1e-12)


def test_a_leave_one_out_baseline_after_stratifying_is_biased():
    """Two strata of one bit at p = 1/2 are 0 and 1: RLOO on them gives twice the gradient in every sample."""
    law, f = bit(0.0), toy(2.0)
    stratified = Stratified(n=2).estimate(law, f, seeded(), 30).gradient
    torch.testing.assert_close(stratified, torch.full_like(stratified, true_gradient(law, f)))
    off, on = f.value(BOTH).tolist()
    leave_one_out = ((on - off) * 0.5 + (off - on) * -0.5) / 2
    assert leave_one_out == pytest.approx(2 * true_gradient(law, f))


def test_gapped_gradients_are_autograds_with_the_shift_detached():
    """The Jacobian is taken at the shifted logits and the shift is a constant, as in the authors' drop-in sampler."""
    law = classes(0.5, -0.3, 0.2, 1.9)
    f = FunctionObjective(lambda x: (x.squeeze(-2) @ torch.tensor([1.0, -0.4, 2.0, 0.3], dtype=DOUBLE)) ** 3)
    x = law.sample(seeded(4), 60)
    with torch.enable_grad():
        leaf = law.logits.expand(60, 1, 4).clone().requires_grad_()
        index = x.argmax(-1, keepdim=True)
        shift = (leaf.amax(-1, keepdim=True) - leaf).detach() * x
        capped = leaf + shift
        excess = functional.relu(capped - capped.gather(-1, index) + 1.0) * (1 - x)
        soft = ((capped - excess.detach()) / 0.7).softmax(-1)
        (expected,) = torch.autograd.grad(f.value(x + soft - soft.detach()).sum(), leaf)
    sample = GappedStraightThrough(gap=1.0, temperature=0.7).estimate(law, f, seeded(4), 60)
    torch.testing.assert_close(sample.gradient, expected, rtol=1e-9, atol=1e-12)


def test_a_temperature_divides_the_backward_pass():
    """Softmax of l / t differentiates to J / t; without the division it is another method.

    Against autograd; decoupled straight-through at equal temperatures of 1 is straight-through.
    """
    law = classes(0.5, -0.3, 0.2)
    f = FunctionObjective(lambda x: (x.squeeze(-2) @ torch.tensor([-1.0, 0.5, 2.0], dtype=DOUBLE)) ** 2)
    x = law.sample(seeded(4), 9)
    with torch.enable_grad():
        leaf = law.logits.expand(9, 1, 3).clone().requires_grad_()
        soft = (leaf / 1.7).softmax(-1)
        (expected,) = torch.autograd.grad(f.value(x + soft - soft.detach()).sum(), leaf)
    decoupled = DecoupledSt(forward=1.0, backward=1.7).estimate(law, f, seeded(4), 9).gradient
    torch.testing.assert_close(decoupled, expected, rtol=1e-10, atol=1e-13)
    plain, same = (
        m.estimate(law, f, seeded(4), 9).gradient for m in (StraightThrough(), DecoupledSt(forward=1.0, backward=1.0))
    )
    torch.testing.assert_close(plain, same)


def test_a_forward_temperature_changes_what_is_aimed_at():
    """At equal temperatures decoupled straight-through is exact for a linear f under the tempered logits, not l."""
    method, law = DecoupledSt(forward=0.5, backward=0.5), bit(0.8)
    f = FunctionObjective(lambda x: 3 * x.sum(-1))
    gradient = method.estimate(law, f, seeded(), 5).gradient
    aimed = true_gradient(law.tempered(method.target_temperature), f) / method.target_temperature
    torch.testing.assert_close(gradient, torch.full_like(gradient, aimed))
    assert abs(aimed - true_gradient(law, f)) > 0.1


@pytest.mark.statistical
def test_imle_is_a_finite_difference_of_the_mean():
    """For a linear f its mean is `(p(l) - p(l - strength f')) / strength`, and almost all estimates are 0.

    False alarms: 5 sigma on 2 scores.
    """
    law, slope, n = bit(0.6), 0.8, 2**16
    f = FunctionObjective(lambda x: slope * x.sum(-1))
    for strength in (0.1, 2.0):
        gradient = Imle(strength=strength).estimate(law, f, seeded(5), n).gradient.flatten()
        mean = (1 / (1 + math.exp(-0.6)) - 1 / (1 + math.exp(-0.6 + strength * slope))) / strength
        assert abs(float(gradient.mean()) - mean) < 5 * float(gradient.std()) / n**0.5
    rare = Imle(strength=0.01).estimate(law, f, seeded(5), 1000).gradient
    assert (rare == 0).double().mean() > 0.98


def test_gumbel_rao_with_one_draw_is_st_gumbel_softmax_in_law():
    """Equal conditional means of the Jacobian, by both ways of drawing it: 2^16 draws at 3 classes, within 5 sigma."""
    law = classes(0.5, -0.3, 0.2)
    f = FunctionObjective(lambda x: (x.squeeze(-2) @ torch.tensor([-1.0, 0.5, 2.0], dtype=DOUBLE)) ** 2)
    a = GumbelRao(temperature=0.5, draws=1).estimate(law, f, seeded(1), 2**16).gradient.flatten(1)
    b = StGumbelSoftmax(temperature=0.5).estimate(law, f, seeded(2), 2**16).gradient.flatten(1)
    for power in (1, 2):
        error = ((a**power).var(0) + (b**power).var(0)).sqrt() / 2**8
        assert (((a**power).mean(0) - (b**power).mean(0)).abs() / error).max() < 5


def test_encodings_of_a_bit_change_the_slope_and_not_the_gradient():
    """A decoder of 2 b - 1 and one of b with doubled weights are one f: logits' gradients agree by the chain rule."""
    law = bit(0.4)
    signs = FunctionObjective(lambda x: ((2 * x - 1) * 0.7 + 0.2).sum(-1) ** 2)
    unit = FunctionObjective(lambda x: (x * 1.4 - 0.7 + 0.2).sum(-1) ** 2)
    for method in (StraightThrough(), ReinMax(), Rebar(rate=0), DoubleCv(rate=0, alpha=-0.5)):
        a, b = (method.estimate(law, f, seeded(3), 20).gradient for f in (signs, unit))
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_nvil_divides_by_a_spread_above_one():
    """The division rescales the gradient: exactly by the frozen spread, and only where it exceeds 1."""
    law = Distribution(kind="bernoulli", logits=torch.zeros(5, 1, dtype=DOUBLE))
    wide = FunctionObjective(lambda x: 100 * x.sum(-1))
    narrow = FunctionObjective(lambda x: 0.01 * x.sum(-1))
    for f, scaled in ((wide, True), (narrow, False)):
        method, plain = Nvil(), Nvil(normalise=False)
        state = method.init(law, seeded())
        for step in range(30):
            _, state = method.adapt(law, f, seeded(step), 4, state)
        a, b = (m.estimate(law, f, seeded(9), 7, state).gradient for m in (method, plain))
        ratio = (b / a)[a != 0]
        assert float(ratio.max() - ratio.min()) < 1e-9 * float(ratio.max())
        assert (float(ratio.mean()) > 10) == scaled
        assert scaled or float(ratio.mean()) == pytest.approx(1.0)


def test_a_relaxed_sample_of_rebar_is_centred_at_its_logit():
    """Z and x point the same way: a relaxation centered elsewhere keeps the mean and loses the variance reduction."""
    from kexue_gradients.methods.relaxed_control import relaxed_pair

    law = Distribution(kind="bernoulli", logits=torch.tensor([-3.0, 0.0, 2.0], dtype=DOUBLE))
    for coupled in (True, False):
        x, z = relaxed_pair(law, seeded(), 500, coupled=coupled)
        assert torch.equal((z > 0).to(DOUBLE), x.expand_as(z))


def test_a_second_order_method_is_not_better_everywhere(build):
    """On a cubic of three classes ReinMax is further from the truth than straight-through, over all three samples."""
    task = build("categorical-toy", power=3)
    law = task.distribution(DOUBLE, torch.device("cpu"))
    f, x = task.objective(law), torch.eye(3, dtype=DOUBLE).unsqueeze(1)
    truth = Exact().estimate(law, f, seeded(), 1).gradient[0]
    object.__setattr__(law, "sample", lambda noise, *leading: x)
    weights = law.mean[0].reshape(3, 1, 1)
    bias = [
        float(((weights * m.estimate(law, f, seeded(), 3).gradient).sum(0) - truth).norm())
        for m in (StraightThrough(), ReinMax())
    ]
    assert bias[1] > 1.15 * bias[0]


def test_two_draws_with_a_baseline_may_vary_more_than_one_without(build):
    """On `qubo`, where E f is near 0: a variance (trace) of 0.4915 for one evaluation against 0.5970 for two of RLOO.

    Over all eight states and all pairs of them; work-normalized the two are further apart still.
    """
    task = build("qubo")
    law = task.distribution(DOUBLE, torch.device("cpu"))
    one, two = (exact_moments(method, law, task.objective(law)).variance for method in (Reinforce(), Rloo()))
    assert (one, two) == pytest.approx((0.491545, 0.596977), abs=1e-6)


@pytest.mark.statistical
def test_an_untuned_rebar_varies_more_than_plain_reinforce():
    """One bit, eta 1 and temperature 0.5: 0.0212 for three evaluations against 0.01356 for one.

    2^18 draws: a relative error of the variance of about 0.4 %, so 2 % is 5 sigma; with independent noise it is 0.0205.
    """
    law, f = bit(0.5), toy(2.0)
    rebar = Rebar(rate=0).estimate(law, f, seeded(6), 2**18).gradient
    assert float(rebar.var()) == pytest.approx(0.0212197599, rel=0.02)
    assert moments(Reinforce(), law, f)[1] == pytest.approx(0.0135648882, abs=1e-9)


def test_gumbel_rao_differentiates_at_the_shifted_logits():
    """The shift that makes the drawn class win is a constant: autograd through `l + shift.detach()` agrees."""
    law = classes(0.5, -0.3, 0.2)
    f = FunctionObjective(lambda x: (x.squeeze(-2) @ torch.tensor([-1.0, 0.5, 2.0], dtype=DOUBLE)) ** 2)
    method, repeats = GumbelRao(temperature=0.7, draws=5), 9
    noise = seeded(7)
    found = method.estimate(law, f, noise, repeats).gradient
    noise = seeded(7)
    x = law.sample(noise, repeats)
    z = perturbed_given(law, x, noise, 5)
    with torch.enable_grad():
        leaf = law.logits.expand(repeats, 1, 3).clone().requires_grad_()
        soft = ((leaf.unsqueeze(1) + (z - leaf.unsqueeze(1)).detach()) / 0.7).softmax(-1).mean(1)
        (expected,) = torch.autograd.grad(f.value(x + soft - soft.detach()).sum(), leaf)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-13)


def test_a_bit_as_two_classes_does_not_care_which_of_them_f_reads():
    """ReinMax needs both coordinates of the slope: f of D_1, of 1 - D_0 or of their mean give one gradient."""
    theta = torch.tensor([[0.0, 0.7]], dtype=DOUBLE)
    law = Distribution(kind="categorical", logits=theta)
    one = bit(0.7)
    readings = (lambda x: x[..., 1], lambda x: 1 - x[..., 0], lambda x: (1 + x[..., 1] - x[..., 0]) / 2)
    x = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=DOUBLE)
    object.__setattr__(law, "sample", lambda noise, *leading: x)
    object.__setattr__(one, "sample", lambda noise, *leading: x[..., 1])
    expected = ReinMax().estimate(one, toy(3.0), seeded(), 2).gradient
    for read in readings:
        f = FunctionObjective(lambda x, read=read: ((read(x) - 0.45).abs() ** 3).sum(-1))
        gradient = ReinMax().estimate(law, f, seeded(), 2).gradient
        torch.testing.assert_close(gradient[..., 1], expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(gradient.sum(-1), torch.zeros_like(expected), rtol=0, atol=1e-14)


def test_a_bound_of_many_samples_is_another_objective(build, context):
    """A bound of more samples is above the ELBO, which is that of one, and its gradient differs.

    The bound over every tuple of states in numpy; both are nats, and higher is better.
    """
    law = build("qubo").distribution(DOUBLE, torch.device("cpu"))
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * 3)
    log_q = torch.where(states > 0, law.mean, 1 - law.mean).prod(-1).log()
    log_w = (2.0 * build("qubo").objective(law).value(states) - log_q).numpy()
    q = log_q.exp().numpy()
    bounds = []
    for n in (1, 2, 4):
        index = np.array(list(itertools.product(range(8), repeat=n)))
        bounds.append(float(q[index].prod(1) @ np.log(np.exp(log_w[index]).mean(1))))
    assert bounds == sorted(bounds)
    assert bounds[-1] - bounds[0] > 0.1
    two, four = (build("iwae-toy", samples=n).problem(build("vimco"), context()).truth for n in (2, 4))
    assert float((two - four).norm()) > 0.05 * float(two.norm())
