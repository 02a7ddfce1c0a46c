"""Values, bounds and gradients against independently computed references."""

from __future__ import annotations

import pytest
import torch

import kexue_smoothing as ks

DIFFSORT = "diffsort_0.2.0_steepness10_x=[0.3,1.2,-0.5,0.9]"


def row(values):
    return torch.tensor(values, dtype=torch.float64)


def same(found, expected, tolerance=1e-9):
    torch.testing.assert_close(torch.as_tensor(found, dtype=torch.float64), row(expected), rtol=0, atol=tolerance)


@pytest.mark.parametrize("place", range(6), ids=["K=1", "K=2", "K=5", "K=10", "K=50", "K=100"])
def test_maxima_and_indicators_have_their_reference_values(reference, place):
    """Values and bounds of every soft maximum and its weights equal the reference at six inverse temperatures."""
    entry, x = reference["max"]["rows"][place], row(reference["max"]["x"])
    s = 1 / entry["K"]
    same(ks.LogSumExp().apply(x, softness=s), entry["lse"])
    same(ks.LogSumExp().bound(5, 0.0, s).high, entry["lse_bound"])
    same(ks.Mellowmax().apply(x, softness=s), entry["mellowmax"])
    same(ks.WeightedMax(alpha=1.0).apply(x, softness=s), entry["boltzmann"])
    same(ks.WeightedMax(alpha=1.0).bound(5, 0.0, s).low, entry["boltz_bound"])
    same(ks.WeightedMax(alpha=2.0).apply(x, softness=s), entry["sparsemax_mean"])
    same(ks.WeightedMax(alpha=1.5).apply(x, softness=s), entry["entmax15_mean"])
    same(ks.EntmaxMax().apply(x, softness=s), entry["sparsemax_smoothed_max"])
    same(ks.EntmaxMax().bound(5, 0.0, s).high, entry["sparse_bound"])
    same(ks.SoftArgmax().apply(x, softness=s), entry["softargmax_index"])
    same(ks.Softmax().of("one-hot").apply(x, softness=s), entry["softmax"])
    same(ks.Entmax(alpha=1.0).bound(5, 0.1, s).high, entry["l1_bound"])
    same(ks.Sparsemax().apply(x, softness=s), entry["sparsemax"])
    same(ks.Entmax().apply(x, softness=s), entry["entmax15"])


@pytest.mark.parametrize("place", range(6))
def test_the_gradient_of_the_boltzmann_mean_is_the_reference_one(reference, place):
    """The gradient is p_i (1 + (x_i - value) / s), including its negative entries."""
    entry = reference["max"]["rows"][place]
    with torch.enable_grad():
        x = row(reference["max"]["x"]).requires_grad_()
        ks.WeightedMax(alpha=1.0).apply(x, softness=1 / entry["K"]).backward()
    same(x.grad, entry["grad_boltz"])


def test_the_boltzmann_bound_is_lamberts_function(reference):
    """The bound is W((n - 1) / e) for n up to a million."""
    for n, value in reference["boltzmann_bound_W0((n-1)/e)"].items():
        same(-ks.WeightedMax(alpha=1.0).bound(int(n), 0.0, 1.0).low, value)


def test_norms_have_their_reference_values_and_bounds(reference):
    """Values and bounds equal the reference for p from 1 to 64."""
    x = row(reference["pnorm"]["x"])
    for entry in reference["pnorm"]["rows"]:
        same(ks.PNorm().apply(x, softness=1 / entry["p"]), entry["val"])
        same(2 + ks.PNorm().bound(5, 0.0, 1 / entry["p"], x=x).high, entry["upper"])


@pytest.mark.parametrize(
    ("operator", "constant"),
    [
        (ks.Softplus(), "relu_softplus_maxerr*K"),
        (ks.Gelu(), "relu_gelu_maxerr*K"),
        (ks.Squareplus(), "relu_sqplus_maxerr/eps (x+sqrt(x^2+eps^2))/2"),
        (ks.SoftAbs(law="root"), "abs_sqrt_maxerr/eps"),
        (ks.SoftAbs(law="softplus"), "abs_lse_maxerr*K"),
        (ks.SoftAbs(law="erf"), "abs_xerf_maxerr*K"),
        (ks.Swish(), "relu_silu_maxerr*K = W(1/e)"),
        (ks.SoftAbs(law="tanh"), "abs_xtanh_maxerr*K = W(1/e)"),
    ],
)
def test_scalar_operators_err_at_most_by_their_constant(reference, operator, constant):
    """The declared bound and the largest error on a fine grid equal the constant, scaled by the softness."""
    value = reference["scalar_constants"][constant]
    value = max(value) if isinstance(value, list) else value
    same(operator.bound(1, 0.0, 1.0).high, value)
    same(operator.bound(1, 0.0, 0.3).high, 0.3 * value)
    x = torch.linspace(-4, 4, 200001, dtype=torch.float64)
    same((operator.apply(x, softness=1.0) - ks.hard(operator.kind, x)).abs().max(), value, 1e-8)


def test_the_integral_of_a_steps_error_is_its_constant(reference):
    """The integral, by the trapezoidal rule, is 2 log 2 s for the sigmoid and for the sign tanh(x / s)."""
    x = torch.linspace(-40, 40, 800002, dtype=torch.float64)
    step = (ks.SoftStep().apply(x, softness=1.0) - ks.hard("step", x)).abs()
    same(torch.trapezoid(step, x), reference["scalar_constants"]["step_sigmoid_L1*K = 2ln2"], 1e-8)
    sign = 2 * (ks.SoftStep().apply(x, softness=0.5) - ks.hard("step", x)).abs()
    same(torch.trapezoid(sign, x), reference["scalar_constants"]["sign_tanh_L1*K = 2ln2"], 1e-8)


def test_two_arguments_err_at_most_by_their_constant(reference):
    """The largest errors of `swish` and `gelu` (mu = 1 / (s sqrt 2), 0.1201878 / mu) equal the reference."""
    a = torch.linspace(-4, 4, 100001, dtype=torch.float64)
    pairs = torch.stack([a, torch.zeros_like(a)], -1)
    for law, value in (
        ("swish", reference["scalar_constants"]["max2_xsigmoid_maxerr*K=W(1/e)"]),
        ("gelu", 0.1201878 * 2**0.5),
    ):
        found = (ks.PairMax(law=law).apply(pairs, softness=1.0) - pairs.amax(-1)).abs().max()
        same(found, value, 1e-7)


def test_soft_rounding_has_its_reference_values(reference):
    """Soft rounding, and rounding down shifted by 1/2, equal the reference for every alpha."""
    for alpha, values in reference["soft_round"].items():
        x = row([0.1, 0.3, 0.49, 0.7, 1.2, -0.3])
        same(ks.SoftRound().apply(x, softness=1 / float(alpha)), values)
        same(ks.SoftFloor().apply(x + 0.5, softness=1 / float(alpha)), values)


def test_masks_have_their_reference_values(reference):
    """The masks of the two largest of four entries equal the reference for three operators and iterated softmax."""
    x = row([3.0, 2.0, 1.0, 4.0])
    for softness, values in reference["topk_x=[3,2,1,4]_k=2"].items():
        same(ks.LapSum().apply(x, softness=float(softness), k=2), values["lapsum"])
        same(ks.LogisticTopK().apply(x, softness=float(softness), k=2), values["sigmoid_lml"])
        same(ks.ProjectionTopK().apply(x, softness=float(softness), k=2), values["clip_l2"])
    for softness, values in reference["iter_topk"]["values"].items():
        same(ks.IterativeTopK().apply(x, softness=float(softness), k=2), values)


@pytest.mark.parametrize("softness", ["1.0", "0.1", "0.01"])
def test_orders_and_ranks_have_their_reference_values(reference, softness):
    """Both soft permutations, both projections and pairwise ranks equal the reference on four entries."""
    x, values, s = row(reference["sort_x"]["x"]), reference["sort_x"]["by_tau"][softness], float(softness)
    for operator, name in ((ks.NeuralSort(), "neuralsort"), (ks.SoftSort(), "softsort")):
        same(operator.matrix(x, softness=s, descending=True), values[name])
        same(operator.apply(x, softness=s, descending=True), values[f"{name}_sorted"])
        same(operator.apply(x, softness=s), values[f"{name}_sorted"][::-1])
    same(ks.FastSoftSort().apply(x, softness=s), values["fast_sort"])
    same(ks.FastSoftRank().apply(x, softness=s), values["fast_rank"])
    same(ks.PairwiseRank().apply(x, softness=s), values["pairwise_sigmoid_rank"])


@pytest.mark.parametrize("law", ["cauchy", "logistic", "logistic_phi", "optimal"])
@pytest.mark.parametrize("network", ["odd_even", "bitonic"])
def test_networks_give_what_diffsort_gives(reference, network, law):
    """Values equal diffsort's at steepness 10 (softness 0.1), also by the soft permutation."""
    x, operator = (
        row([0.3, 1.2, -0.5, 0.9]),
        ks.SortingNetwork(network=network.replace("_", "-"), law=law.replace("_", "-")),
    )
    same(operator.apply(x, softness=0.1), reference[DIFFSORT][f"{network}/{law}"])
    same(operator.matrix(x, softness=0.1) @ x, reference[DIFFSORT][f"{network}/{law}"])


def test_a_running_sum_has_its_reference_values(reference):
    """The running sum at softness 1 equals the reference."""
    z, out = reference["cumax"]["z"], reference["cumax"]["out"]
    same(ks.Cumax().apply(row(z), softness=1.0), out)


@pytest.mark.statistical
def test_mean_errors_on_normal_rows_are_those_of_other_draws(reference):
    """Mean absolute errors on 4,000 rows of 16 normal entries match those on 300 reference rows.

    The tolerance is 5 standard errors, from the spread of the row errors here; the false-alarm rate is 3e-5 for 16
    comparisons.
    """
    x = torch.randn(4000, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    operators = {
        "neuralsort_sort_mae": ks.NeuralSort(),
        "softsort_sort_mae": ks.SoftSort(),
        "fast_rank_mae": ks.FastSoftRank(),
        "sigmoid_rank_mae": ks.PairwiseRank(),
    }
    for entry in reference["random_normal_n16_seed7"]:
        for name, operator in operators.items():
            errors = (operator.apply(x, softness=entry["tau"]) - ks.hard(operator.kind, x)).abs().mean(-1)
            spread = float(errors.std()) * (1 / 300 + 1 / 4000) ** 0.5
            assert abs(float(errors.mean()) - entry[name]) < 5 * spread
