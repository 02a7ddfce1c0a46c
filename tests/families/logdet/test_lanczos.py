from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import logm

from kexue_logdet import Operator
from kexue_logdet.lanczos import krylov, quadrature


def lanczos(op, start, steps):
    found = krylov(op, start, steps)
    return found.diagonal, found.off


def unit(v):
    return v / v.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("name", ["lap1d6", "kms6", "lehmer6"])
def test_gauss_rules_match_the_tables(name, matrix, reference):
    """The k-point rule for v^T log(A) v, v_i = i, is the tabled one for k = 1..6, to 1e-10 of |v|^2 = 91."""
    op, v = Operator.of(matrix[name], "spd"), torch.arange(1, 7, dtype=torch.float64).unsqueeze(0)
    got = [91 * float(quadrature(*lanczos(op, unit(v), k))) for k in range(1, 7)]
    assert got == pytest.approx([reference["gauss"][name][str(k)] for k in range(1, 7)], abs=91e-10)


def test_all_steps_reproduce_the_spectrum():
    """At k = n the tridiagonal matrix has the eigenvalues of A (numpy's, of a random SPD matrix)."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(12, 12))
    a = root @ root.T + np.eye(12)
    start = unit(torch.tensor(rng.normal(size=(3, 12))))
    diagonal, off = lanczos(Operator.of(torch.tensor(a), "spd"), start, 12)
    t = torch.diag_embed(diagonal) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    want = torch.tensor(np.linalg.eigvalsh(a)).expand(3, 12)
    torch.testing.assert_close(torch.linalg.eigvalsh(t), want, rtol=1e-12, atol=0)


def test_rows_do_not_see_each_other():
    """A start vector gives the same matrix alone and among others, to rounding."""
    a = torch.diag(torch.arange(1.0, 9.0, dtype=torch.float64))
    start = unit(torch.tensor(np.random.default_rng(1).normal(size=(4, 8))))
    together = lanczos(Operator.of(a, "spd"), start, 5)
    alone = lanczos(Operator.of(a, "spd"), start[2:3], 5)
    for many, one in zip(together, alone, strict=True):
        torch.testing.assert_close(many[2:3], one, rtol=1e-12, atol=0)


def test_a_batch_of_operators_equals_its_members():
    """[*batch, m, n] starts on a batch of matrices give the same result as each matrix alone."""
    rng = np.random.default_rng(2)
    roots = torch.tensor(rng.normal(size=(2, 6, 6)))
    a, start = roots @ roots.mT + torch.eye(6, dtype=torch.float64), unit(torch.tensor(rng.normal(size=(2, 3, 6))))
    together = quadrature(*lanczos(Operator.of(a, "spd"), start, 4))
    alone = [quadrature(*lanczos(Operator.of(a[b], "spd"), start[b], 4)) for b in range(2)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-12, atol=1e-12)


def test_an_exhausted_krylov_space_ends_without_a_trace():
    """A start in an invariant subspace of dimension 2 breaks down at step 2; the rule stays exact for any k.

    Truth: v^T log(A) v for A = diag(2, 3, 5, 7) and v = (1, 1, 0, 0) / sqrt(2) is log(6) / 2. The second row is a
    regular one in the same block; its rule is exact at k = n.
    """
    op = Operator.of(torch.diag(torch.tensor([2.0, 3.0, 5.0, 7.0], dtype=torch.float64)), "spd")
    start = unit(torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64))
    got = quadrature(*lanczos(op, start, 4))
    assert got.tolist() == pytest.approx([np.log(6) / 2, np.log(210) / 4], abs=1e-14)


def test_the_identity_breaks_down_at_once():
    """Every vector is an eigenvector of I: one step, log 1 = 0 to a rounding, no nan."""
    op = Operator.of(torch.eye(5, dtype=torch.float64), "spd")
    value = quadrature(*lanczos(op, unit(torch.ones(1, 5, dtype=torch.float64)), 5))
    assert abs(float(value)) <= 2 * torch.finfo(torch.float64).eps


def test_no_more_than_n_steps_are_taken_or_billed():
    """Steps > n costs min(steps, n) products per row."""
    op = Operator.of(torch.diag(torch.arange(1.0, 5.0, dtype=torch.float64)), "spd")
    diagonal, off = lanczos(op, unit(torch.ones(2, 4, dtype=torch.float64)), 50)
    assert (diagonal.shape, off.shape, op.spent) == ((2, 4), (2, 3), 8)


def test_full_reorthogonalisation_keeps_ghosts_away():
    """With condition number 1e8 and 60 steps no Ritz value repeats, and the rule is the logarithm itself.

    The spectrum has 60 values log-spaced on [1e-4, 1e4]; without reorthogonalization the largest return as copies
    and the rule is several nats too large. Truth: the mean of the logarithms, by symmetry 0.
    """
    spectrum = torch.logspace(-4, 4, 60, dtype=torch.float64)
    op = Operator.of(torch.diag(spectrum), "spd")
    value = quadrature(*lanczos(op, unit(torch.ones(1, 60, dtype=torch.float64)), 60))
    assert abs(float(value)) < 1e-6


def test_single_precision_products_keep_a_double_precision_tail(matrix):
    """float32 products give float64 coefficients whose rule is right to a few float32 roundings of the coefficients.

    The reference is scipy's matrix logarithm; the log has slope 1 / lambda_min = 5 here, so 100 eps covers it.
    """
    a = matrix["lap1d6"].to(torch.float32)
    v = unit(torch.arange(1.0, 7.0).unsqueeze(0))
    diagonal, off = lanczos(Operator.of(a, "spd"), v, 6)
    truth = float(v.double() @ torch.tensor(logm(matrix["lap1d6"].numpy())) @ v.double().T)
    assert diagonal.dtype == off.dtype == torch.float64
    assert float(quadrature(diagonal, off)) == pytest.approx(truth, abs=100 * torch.finfo(torch.float32).eps)


def test_an_indefinite_matrix_is_reported_as_nan():
    """A negative Ritz value has no logarithm: nan, rather than a value that hides it."""
    op = Operator.of(torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64)), "spd")
    assert quadrature(*lanczos(op, unit(torch.ones(1, 2, dtype=torch.float64)), 2)).isnan().all()
