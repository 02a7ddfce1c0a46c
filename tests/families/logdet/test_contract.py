from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import kexue_logdet
from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_logdet import SLQ, Bounds, BudgetError, Exact, LogdetMethod, Operator, PowerSeries
from kexue_logdet.contract import afford


@pytest.fixture
def jacobian():
    return torch.arange(9, dtype=torch.float64).reshape(3, 3) / 20


def test_a_block_is_billed_by_its_columns(jacobian):
    """M columns are m products, forwards and transposed alike, on the operator and in the caller's counter."""
    counter = Counter()
    op = Operator.of(jacobian, "residual").within(budget=10, repeats=1, counter=counter)
    op.mv(torch.ones(3, 4, dtype=torch.float64))
    op.rmv(torch.ones(3, 2, dtype=torch.float64))
    assert (op.spent, counter.units) == (6, {"products": 6})


def test_products_are_those_of_the_matrix(jacobian):
    """Mv is J V and rmv is J^T V."""
    op, v = Operator.of(jacobian, "residual"), torch.eye(3, dtype=torch.float64)[:, :2]
    assert torch.equal(op.mv(v), jacobian[:, :2])
    assert torch.equal(op.rmv(v), jacobian.T[:, :2])


def test_dense_costs_n_products(jacobian):
    """The matrix is returned unchanged and n products are counted."""
    op = Operator.of(jacobian, "residual").within(budget=3, repeats=1)
    assert torch.equal(op.dense(), jacobian)
    assert op.spent == 3


def test_the_last_product_of_a_budget_is_allowed_and_the_next_is_not(jacobian):
    """Exactly budget x repeats products pass; one more raises before anything is computed or counted."""
    computed = []

    def product(v):
        computed.append(v.shape[-1])
        return jacobian @ v

    op = Operator(kind="spd", n=3, product=product).within(budget=2, repeats=3)
    op.mv(torch.ones(3, 6, dtype=torch.float64))
    with pytest.raises(BudgetError, match="may spend 6 products, got 6 spent and 1 more"):
        op.mv(torch.ones(3, 1, dtype=torch.float64))
    assert (computed, op.spent) == ([6], 6)


def test_a_metered_view_leaves_the_operator_alone(jacobian):
    """Every call starts with nothing spent, and only its own view counts its products."""
    op = Operator.of(jacobian, "residual")
    view = op.within(budget=9, repeats=1)
    view.dense()
    assert (op.spent, view.spent, view.within(budget=9, repeats=1).spent) == (0, 3, 0)


def test_a_symmetric_operator_is_its_own_transpose():
    """An SPD operator needs no transposed product."""
    op = Operator(kind="spd", n=2, product=lambda v: 2 * v)
    assert torch.equal(op.rmv(torch.ones(2, 1)), torch.full((2, 1), 2.0))


def test_a_missing_transpose_says_what_to_do():
    """A residual operator without a transposed product refuses rmv and counts nothing."""
    op = Operator(kind="residual", n=2, product=lambda v: v)
    with pytest.raises(ValueError, match="no transposed product; use mv"):
        op.rmv(torch.ones(2, 1))
    assert op.spent == 0


@pytest.mark.parametrize("shape", [(2,), (4, 1), (1, 3, 1)])
def test_a_block_of_another_shape_is_refused(jacobian, shape):
    """Only [*batch, n, m] is a block, so a vector is not mistaken for a row of products."""
    with pytest.raises(ValueError, match="a block must be"):
        Operator.of(jacobian, "residual").mv(torch.ones(shape, dtype=torch.float64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"kind": "general", "n": 2}, "kind must be"), ({"kind": "spd", "n": 0}, "n must be >= 1")],
)
def test_an_operator_of_no_known_kind_or_size_is_refused(arguments, message):
    """Kinds are spd and residual, sizes positive."""
    with pytest.raises(ValueError, match=message):
        Operator(product=lambda v: v, **arguments)


def test_a_matrix_must_be_square():
    """A rectangular matrix has no determinant."""
    with pytest.raises(ValueError, match=r"matrix must be \[\*batch, n, n\]"):
        Operator.of(torch.ones(2, 3), "spd")


def test_a_budget_must_allow_a_product(jacobian):
    """A budget or a number of repeats below 1 is invalid."""
    with pytest.raises(ValueError, match="budget and repeats must be >= 1"):
        Operator.of(jacobian, "residual").within(budget=0, repeats=1)


@pytest.mark.parametrize("method", [Exact(), PowerSeries(degree=4, probes=2), SLQ(steps=4, probes=2)])
def test_a_plan_beyond_the_budget_is_refused_before_any_product(method, matrix):
    """Methods check their plan first: nothing is spent on a call that would exceed its budget."""
    op = Operator.of(matrix["lap1d6"], "spd", bounds=Bounds(high=4.0)).within(budget=5, repeats=1)
    with pytest.raises(BudgetError, match="a repeat may spend 5 products"):
        method.estimate(op, 5, Noise.seeded(0, dtype=torch.float64), 1)
    assert op.spent == 0


def test_affording_the_whole_budget_is_fine():
    """A plan equal to the budget fits."""
    afford(5, 5)


@pytest.mark.parametrize("method", [Exact(), PowerSeries(), SLQ()])
def test_first_party_methods_fulfil_the_protocol(method):
    """The protocol is structural; these classes have its one function."""
    assert isinstance(method, LogdetMethod)


def test_listing_needs_no_torch():
    """Neither the package nor its plugin module imports torch; a name of the table does."""
    code = (
        "import sys, kexue_logdet, kexue_logdet.plugin as p\n"
        "p.kexue_specs(), dir(kexue_logdet)\n"
        "assert 'torch' not in sys.modules\n"
        "kexue_logdet.SLQ\n"
        "assert 'torch' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error():
    """The lazy package raises like any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        kexue_logdet.Nothing
