"""Hard metrics against scikit-learn, problem by problem and label by label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn

from kexue_f1 import metrics


def _scores(r=3, n=60, c=4, seed=0, *, ties=False):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(r, n, c))
    y = rng.random((r, n, c)) < 0.2
    y[:, 0] = True
    return (np.round(z) if ties else z), y


@pytest.mark.parametrize("average", ["macro", "micro", "samples"])
@pytest.mark.parametrize("labels", [1, 4])
def test_f1(average, labels):
    """F1 equals scikit-learn's for every average, with 0 / 0 counted as 0."""
    z, y = _scores(c=labels)
    y[0, :, 0] = False
    ours = metrics.f1(torch.tensor(z > 0.5), torch.tensor(y), average)
    for r in range(3):
        if labels == 1 and average != "samples":
            theirs = sklearn.f1_score(y[r, :, 0], z[r, :, 0] > 0.5, zero_division=0)
        elif labels == 1:
            theirs = np.mean((z[r, :, 0] > 0.5) & y[r, :, 0])
        else:
            theirs = sklearn.f1_score(y[r], z[r] > 0.5, average=average, zero_division=0)
        assert float(ours[r]) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision(ties):
    """The mean over labels equals scikit-learn's, also with ties, which count as one step."""
    z, y = _scores(ties=ties)
    ours = metrics.average_precision(torch.tensor(z), torch.tensor(y))
    for r in range(3):
        assert float(ours[r]) == pytest.approx(sklearn.average_precision_score(y[r], z[r]), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_best_threshold(ties):
    """It returns the largest F1 on the precision-recall curve and a threshold that attains it."""
    z, y = _scores(ties=ties)
    threshold, best = metrics.best_threshold(torch.tensor(z), torch.tensor(y))
    for r in range(3):
        for c in range(4):
            precision, recall, _ = sklearn.precision_recall_curve(y[r, :, c], z[r, :, c])
            curve = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
            assert float(best[r, c]) == pytest.approx(curve.max(), abs=1e-12)
            found = sklearn.f1_score(y[r, :, c], z[r, :, c] >= float(threshold[r, c]))
            assert found == pytest.approx(curve.max(), abs=1e-12)


def test_best_threshold_of_the_reference_vectors(reference):
    """Best F1 (0.889 and 0.8) and its threshold, F1 at logit 0 and average precision equal the reference."""
    for name in ("V1", "V2"):
        data = reference[name]
        z = torch.tensor(data["logits"], dtype=torch.float64).view(1, -1, 1)
        y = torch.tensor(data["targets"]).view(1, -1, 1)
        threshold, best = metrics.best_threshold(z, y)
        assert float(best) == pytest.approx(data["sklearn"]["best_f1"], abs=1e-12)
        assert z[z >= threshold].min() == data["sklearn"]["best_threshold_logit"]
        assert float(metrics.f1(z > 0, y)) == pytest.approx(data["sklearn"]["f1"], abs=1e-12)
        assert float(metrics.average_precision(z, y)) == pytest.approx(data["sklearn"]["ap"], abs=1e-12)


def test_neighbouring_floats_are_told_apart():
    """Two adjacent floats have no midpoint, but the threshold still separates them."""
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2.0))
    z = torch.tensor([low, high, 0.0]).view(1, -1, 1)
    y = torch.tensor([0.0, 1.0, 0.0]).view(1, -1, 1)
    threshold, best = metrics.best_threshold(z, y)
    assert float(best) == 1
    assert (z >= threshold).flatten().tolist() == [False, True, False]


def test_calibration_error():
    """It equals a numpy version with equal-count bins, and is zero for two calibrated constant groups."""
    rng = np.random.default_rng(0)
    p = rng.random((2, 103, 3))
    y = rng.random(p.shape) < p
    ours = metrics.calibration_error(torch.tensor(p), torch.tensor(y))
    for r in range(2):
        errors = []
        for c in range(3):
            order = np.argsort(p[r, :, c])
            index = np.arange(103) * 15 // 103
            gaps = p[r, order, c] - y[r, order, c]
            errors.append(sum(abs(gaps[index == b].sum()) for b in range(15)) / 103)
        assert float(ours[r]) == pytest.approx(np.mean(errors), abs=1e-12)
    p = torch.tensor([0.25] * 4 + [0.5] * 4).view(1, 8, 1)
    y = torch.tensor([1, 0, 0, 0, 1, 1, 0, 0]).view(1, 8, 1)
    assert float(metrics.calibration_error(p, y, bins=2)) == 0
