from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.lab.context import Context
from kexue_bench.lab.noise import Noise
from kexue_logdet import SLQ, BudgetError, Exact, GridLaplacian, PowerSeries, RBFKernel, ResidualBlock

TASKS = [GridLaplacian(side=6), RBFKernel(dataset="iris", sigma2=0.1), ResidualBlock(d=16)]


def context(*, dtype="float64", **options):
    task, method = Instance(name="t", target="m:T"), Instance(name="m", target="m:M")
    return Context(
        Case(family="logdet", task=task, task_version=1, method=method, stage="evaluate", dtype=dtype, options=options)
    )


def methods(task):
    return [
        Exact(via="products"),
        PowerSeries(degree=4, probes=2),
        *([] if isinstance(task, ResidualBlock) else [SLQ(steps=4)]),
    ]


def stencil(side, tau):
    """The dense matrix, from Kronecker products of the one-dimensional Laplacian."""
    line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    return tau * np.eye(side * side) + np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)


def jacobian(d, c):
    """The closed form c S^T diag(1 - tanh(F x)^2) F, in numpy."""
    i = np.arange(1, d + 1)
    dct = np.cos(np.pi / d * (i[:, None] - 1) * (i - 0.5)) * np.sqrt(2 / d)
    dct[0] /= np.sqrt(2)
    return c * dct[::-1, ::-1].T @ np.diag(1 - np.tanh(dct @ np.sin(i)) ** 2) @ dct


# -- grid-laplacian ---------------------------------------------------------------------------------------------------


def test_grid_truth_matches_the_double_sum(reference):
    """The O(N) closed form gives the tabled sums over all N^2 eigenvalues, tau = 0 and n = 1e6 among them."""
    for side, tau, truth, _ in reference["grid"]:
        assert GridLaplacian(side=side, tau=tau).truth() == pytest.approx(truth, rel=1e-12)


def test_grid_products_are_those_of_the_dense_stencil():
    """A V for a block of columns, laid out as rows or as columns in memory, is the Kronecker matrix times V."""
    v = Noise.seeded(0, dtype=torch.float64).normal(49, 5)
    want = torch.tensor(stencil(7, 0.3)) @ v
    op = GridLaplacian(side=7, tau=0.3).operator()
    torch.testing.assert_close(op.mv(v), want, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(op.mv(v.T.contiguous().T), want, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("side", "tau"), [(1, 0.5), (7, 0.0), (8, 1.0)])
def test_grid_bounds_are_its_extreme_eigenvalues(side, tau):
    """Low and high are numpy's smallest and largest eigenvalue."""
    bounds = GridLaplacian(side=side, tau=tau).operator().bounds
    eigenvalues = np.linalg.eigvalsh(stencil(side, tau))
    assert (bounds.low, bounds.high) == pytest.approx((eigenvalues[0], eigenvalues[-1]), rel=1e-12)


def test_the_exact_method_gives_the_closed_form():
    """grid-laplacian[side=32, tau=1]: 1548.26713762114 by LU after 1,024 products, to 1e-9."""
    problem = GridLaplacian().problem(Exact(), context(deterministic=True))
    assert float(problem.draw(Noise.seeded(0), problem.batch)) == pytest.approx(1548.26713762114, abs=1e-9)


@pytest.mark.statistical
def test_slq_agrees_with_the_closed_form_on_the_grid(reference):
    """256 draws of 3 probes: the mean within 4 standard errors plus the quadrature bound (false alarm 6e-5).

    The standard error is exact: sqrt(464.26 / (3 x 256)), from the tabled one-probe variance. The bound is Gauss
    quadrature's for a function analytic in the Bernstein ellipse of rho: n 4 M rho^(-2k) / (1 - 1 / rho^2), |log| <= M.
    """
    variance = next(row[3] for row in reference["grid"] if row[:2] == [32, 1.0])
    problem = GridLaplacian().problem(SLQ(), context())
    mean = float(problem.draw(Noise.seeded(0, dtype=torch.float64), 256).mean())
    rho, low, high = 1.9, 1.0181, 8.9819
    leftmost = (low + high) / 2 - (high - low) / 4 * (rho + 1 / rho)
    largest = abs(math.log(leftmost)) + math.pi
    bound = 1024 * 4 * largest * rho**-40 / (1 - rho**-2)
    assert bound < 1e-5
    assert abs(mean - 1548.26713762114) < 4 * math.sqrt(variance / (3 * 256)) + bound


@pytest.mark.statistical
def test_slq_has_the_closed_variance_on_the_grid(reference):
    """The variance of 1,024 one-probe draws within 4 of its standard errors, sqrt(2 / 1,023) for a near-normal sum."""
    variance = next(row[3] for row in reference["grid"] if row[:2] == [16, 1.0])
    problem = GridLaplacian(side=16).problem(SLQ(probes=1), context())
    got = float(problem.draw(Noise.seeded(1, dtype=torch.float64), 1024).var())
    assert got == pytest.approx(variance, rel=4 * math.sqrt(2 / 1023))


# -- rbf-kernel -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["iris", "wine", "breast_cancer", "digits"])
def test_kernel_truths(dataset, reference):
    """Log det K of every bundled data set at four noise levels, to the digits of the table."""
    rows = [row for row in reference["rbf"] if row[0] == dataset]
    for _, sigma2, truth in rows[:2] if dataset == "digits" else rows:
        problem = RBFKernel(dataset=dataset, sigma2=sigma2).problem(SLQ(), context())
        assert float(problem.truth) == pytest.approx(truth, rel=1e-8)


def test_kernel_bounds_hold():
    """No eigenvalue lies below sigma2 or above the largest row sum."""
    task = RBFKernel(dataset="wine")
    kernel = task.matrix(context().data("wine")["inputs"])
    eigenvalues = torch.linalg.eigvalsh(kernel)
    assert eigenvalues[0] >= 0.01 * (1 - 1e-9)
    assert eigenvalues[-1] <= kernel.sum(dim=1).max()


def test_a_constant_feature_is_only_centred():
    """A column without spread adds nothing to a distance, and no nan; it still counts in d."""
    x = torch.tensor([[0.0, 3.0], [2.0, 3.0]])
    want = math.exp(-(2.0**2) / 4)
    got = RBFKernel(sigma2=0.5).matrix(x)
    torch.testing.assert_close(got, torch.tensor([[1.5, want], [want, 1.5]], dtype=torch.float64))


@pytest.mark.parametrize(("steps", "slack"), [(20, 1.5), (50, 1e-3)])
def test_quadrature_error_on_real_data_is_the_known_one(steps, slack, reference):
    """Breast cancer, sigma2 = 0.01: +17.06 nats at 20 steps, +0.0013 at 50, against all steps on the same 16 probes.

    Without reorthogonalization the errors are 31 and 0.22. The known figures were taken on other probes, whose spread
    allows `slack`.
    """
    task = RBFKernel()
    few, all_ = (
        task.problem(SLQ(steps=k, probes=1), context()).draw(Noise.seeded(0, dtype=torch.float64), 16)
        for k in (steps, 120)
    )
    assert float((few - all_).mean()) == pytest.approx(reference["reorthogonalised"][str(steps)], abs=slack)


# -- residual-block ---------------------------------------------------------------------------------------------------


def test_block_truths(reference):
    """Log det(I + J) of the DCT block, at every d and c of the table."""
    for d, c, truth, _ in reference["block"]:
        assert ResidualBlock(d=d, c=c).truth() == pytest.approx(truth, abs=1e-10)


def test_block_products_are_those_of_the_closed_jacobian():
    """Columns by automatic differentiation are J V and J^T V of c S^T diag(1 - tanh(F x)^2) F."""
    v = Noise.seeded(0, dtype=torch.float64).normal(10, 4)
    j = torch.tensor(jacobian(10, 0.8))
    op = ResidualBlock(d=10, c=0.8).operator()
    torch.testing.assert_close(op.mv(v), j @ v, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(op.rmv(v), j.T @ v, rtol=1e-13, atol=1e-13)


def test_block_products_need_no_ambient_grad():
    """Workers switch gradients off; the products differentiate all the same."""
    with torch.no_grad():
        op = ResidualBlock(d=4).operator()
        got = op.rmv(torch.eye(4, dtype=torch.float64))
    assert not got.requires_grad
    torch.testing.assert_close(got, torch.tensor(jacobian(4, 0.9).T), rtol=1e-13, atol=1e-13)


def test_block_norm_is_below_its_bound(reference):
    """||J||_2 <= c, as the orthogonal weights promise."""
    for d, c, _, norm in reference["block"]:
        bound = ResidualBlock(d=d, c=c).operator().bounds.norm
        assert bound is not None
        assert norm <= bound == c


@pytest.mark.parametrize(
    ("c", "degree", "bias"), [(0.9, 1, -1.0443334649), (0.9, 5, -0.1237118091), (0.9, 10, 0.0266675483)]
)
def test_block_power_series_bias(c, degree, bias, signs, dealt):
    """Through the task, d = 6: the truncation bias over all sign vectors, to the ten known digits."""
    task = ResidualBlock(d=6, c=c)
    method = PowerSeries(degree=degree, probes=1)
    got = method.estimate(task.operator(), degree, dealt(signs), 64).value
    assert float(got.mean()) - task.truth() == pytest.approx(bias, abs=1e-10)


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_a_draw_is_billed_what_its_repeats_cost(task):
    """A draw is one float64 value; exact counts n products for it, the others what they declare."""
    for method in methods(task):
        ctx = context()
        problem = task.problem(method, ctx)
        values = problem.draw(Noise.seeded(0, dtype=torch.float64), problem.batch)
        cost = {"Exact": task_size(task), "PowerSeries": 8, "SLQ": 12}[type(method).__name__]
        assert (values.shape, values.dtype) == ((problem.batch,), torch.float64)
        assert ctx.counter.units == {"products": problem.batch * cost}


def task_size(task):
    return {GridLaplacian: 36, RBFKernel: 150, ResidualBlock: 16}[type(task)]


@pytest.mark.parametrize("task", TASKS)
def test_the_exact_method_hits_every_truth(task):
    """LU agrees with the closed form, Cholesky and the Jacobian."""
    problem = task.problem(Exact(), context(deterministic=True))
    assert problem.batch == 1
    assert float(problem.draw(Noise.seeded(0), 1)) == pytest.approx(float(problem.truth), abs=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_the_error_is_absolute_and_per_dimension(task):
    """Error = |value - truth| / n: no division by a truth that may be 0."""
    problem = task.problem(Exact(), context())
    off = problem.truth + torch.tensor([-3.0, 6.0], dtype=torch.float64)
    got = problem.losses["error"](off) * task_size(task)
    torch.testing.assert_close(got, torch.tensor([3.0, 6.0], dtype=torch.float64))


def test_a_budget_below_the_plan_is_refused():
    """The task's budget is enforced: 60 products do not fit into 59."""
    problem = GridLaplacian(side=8, budget=59).problem(SLQ(), context())
    with pytest.raises(BudgetError, match="a repeat may spend 59 products, got a plan of 60"):
        problem.draw(Noise.seeded(0), 1)


def test_a_method_that_overspends_is_stopped():
    """A method that plans 60 and requests 4/3 of it is stopped by the operator, at the first block past the budget."""

    class Overspending:
        def estimate(self, op, budget, noise, repeats):
            for _ in range(4):
                op.mv(noise.normal(op.n, repeats * 20))

    ctx = context()
    problem = GridLaplacian(side=8, budget=60).problem(Overspending(), ctx)
    with pytest.raises(BudgetError, match="may spend 120 products, got 120 spent and 40 more"):
        problem.draw(Noise.seeded(0, dtype=torch.float64), 2)
    assert ctx.counter.units == {"products": 120}


def test_something_that_is_no_method_is_refused():
    """The message names the missing function."""
    with pytest.raises(TypeError, match="a logdet method must have `estimate"):
        GridLaplacian(side=2).problem(object(), context())


@pytest.mark.parametrize("task", [GridLaplacian(side=6), RBFKernel(dataset="iris"), ResidualBlock(d=16)])
def test_single_precision_products_stay_near_the_truth(task):
    """--dtype float32 changes the products, not the tail: exact stays within n eps32 times the condition number."""
    problem = task.problem(Exact(), context(dtype="float32"))
    slack = {GridLaplacian: 1e-4, RBFKernel: 0.05, ResidualBlock: 1e-4}[type(task)]
    assert float(problem.draw(Noise.seeded(0), 1)) == pytest.approx(float(problem.truth), rel=0, abs=slack)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GridLaplacian(side=0), "side must be >= 1, got 0"),
        (lambda: GridLaplacian(tau=-1.0), "tau must be >= 0 and finite, got -1.0"),
        (lambda: RBFKernel(dataset="mnist"), "dataset must be one of .* got 'mnist'"),
        (lambda: RBFKernel(sigma2=0.0), "sigma2 must be > 0 and finite, got 0.0"),
        (lambda: ResidualBlock(c=1.0), r"c must be in \(0, 1\), got 1.0"),
        (lambda: ResidualBlock(d=0), "d must be >= 1, got 0"),
        (lambda: GridLaplacian(budget=-1).problem(Exact(), context()), "budget must be >= 0 products"),
    ],
)
def test_bad_parameters_say_what_was_got(build, message):
    """Each is refused with what, got and, if there is one, a remedy."""
    with pytest.raises(ValueError, match=message):
        build()
