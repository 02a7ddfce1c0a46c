"""Values and gradients of every loss on the reference vectors, in double precision."""

from __future__ import annotations

import pytest
import torch

import kexue_f1 as f1

CASES = {
    "bce_mean": (f1.BinaryCrossEntropy(), 1),
    "bce_pos_weight_3": (f1.WeightedBinaryCrossEntropy(weight=3.0), 1),
    "focal_a.25_g2_mean": (f1.Focal(), 1),
    "soft_f1(=dice,eps0)": (f1.SoftF1(), 1),
    "soft_f1_nr1_dr1": (f1.SoftF1(eps=1.0), 1),
    "soft_f1_eps1e-5_both(MONAI)": (f1.SoftF1(eps=1e-5), 1),
    "soft_fbeta2": (f1.SoftF1(beta=2.0), 1),
    "soft_fbeta0.5": (f1.SoftF1(beta=0.5), 1),
    "soft_jaccard": (f1.Tversky(alpha=1.0, beta=1.0), 1),
    "tversky_a.3_b.7": (f1.Tversky(), 1),
    "focal_tversky_g.75": (f1.FocalTversky(), 1),
    "focal_tversky_g4/3": (f1.FocalTversky(gamma=4 / 3), 1),
    "double_soft_f1": (f1.DoubleSoftF1(), 1),
    "sigmoidF1_b1_e0": (f1.SigmoidF1(beta=1.0), 1),
    "sigmoidF1_b10_e1": (f1.SigmoidF1(eta=1.0), 1),
    "anyloss_f1_L10": (f1.AnyLossF1(steepness=10.0), 1),
    "anyloss_f1_L75": (f1.AnyLossF1(), 1),
    "lovasz_hinge": (f1.LovaszHinge(), 1),
    "lovasz_sigmoid(jaccard)": (f1.LovaszSoftmax(), 1),
    # The official loss is a sum and ours a mean: multiply by the number of items.
    "asl_gn4_gp1_c.05_sum(weight detached)": (f1.AsymmetricLoss(), None),
    "asl_gn4_gp1_c.05_sum(full gradient)": (f1.AsymmetricLoss(weight_gradient=True), None),
    "zlpr": (f1.Zlpr(), 1),
    "aucm_v2_closed_on_sigmoid_m1": (f1.Aucm(), 1),
    "aucm_v1_closed_on_sigmoid_m1": (f1.Aucm(version="v1"), 1),
    "smoothap_tau1": (f1.SmoothAp(temperature=1.0), 1),
    "smoothap_tau.01": (f1.SmoothAp(), 1),
    "eban_f1_hinge_bound": (f1.EbanBound(), 1),
    "cost_sensitive_bce_F0.6": (f1.CostSensitive(level=0.6), 1),
    "bce+dice": (f1.BceDice(), 1),
}


def _both(method, z, y):
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        value, _ = method.loss(at, y, method.init(y))
        (gradient,) = torch.autograd.grad(value.sum(), at)
    return value.detach(), gradient


@pytest.mark.parametrize("vector", ["V1", "V2"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(reference, vector, name):
    """Values agree to 1e-12 and gradients to 1e-10, the precision of the reference."""
    data = reference[vector]
    z, y = (torch.tensor(data[key], dtype=torch.float64) for key in ("logits", "targets"))
    method, factor = CASES[name]
    factor = factor or len(y)
    value, gradient = _both(method, z, y)
    expected = data["losses"][name]
    assert float(value) * factor == pytest.approx(expected["value"], abs=1e-12)
    exact = torch.tensor(expected["grad"], dtype=torch.float64)
    assert float((gradient * factor - exact).abs().max()) < 1e-10


def test_every_value_of_the_reference_is_checked(reference):
    """Every loss in the file is tested."""
    assert set(reference["V1"]["losses"]) == set(CASES) == set(reference["V2"]["losses"])


@pytest.mark.parametrize("vector", ["V1", "V2"])
@pytest.mark.parametrize("method", [f1.GlobalSoftF1(), f1.EmaSoftF1(decay=0.0)], ids=lambda m: type(m).__name__)
def test_linearised_soft_f1_has_the_gradient_of_soft_f1(reference, vector, method):
    """At the counts of the batch itself, the linearized loss has exactly the gradient of the ratio."""
    data = reference[vector]
    z, y = (torch.tensor(data[key], dtype=torch.float64) for key in ("logits", "targets"))
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        state = method.refresh(z, y, None) if isinstance(method, f1.GlobalSoftF1) else method.init(y)
        (gradient,) = torch.autograd.grad(method.loss(at, y, state)[0], at)
    expected = torch.tensor(data["losses"]["soft_f1(=dice,eps0)"]["grad"], dtype=torch.float64)
    assert float((gradient - expected).abs().max()) < 1e-10


def test_several_labels(reference):
    """The three averages of soft F1, ZLPR in total and per row, and cross-entropy equal the reference."""
    data = reference["multilabel"]
    z, y = (torch.tensor(data[key], dtype=torch.float64).unsqueeze(0) for key in ("logits", "targets"))
    for average in ("macro", "micro", "samples"):
        value, _ = f1.SoftF1(average=average).loss(z, y)
        assert 1 - float(value) == pytest.approx(data[f"soft_{average}_f1"], abs=1e-12)
    assert float(f1.Zlpr().loss(z, y)[0]) == pytest.approx(data["zlpr_mean"], abs=1e-12)
    rows = [float(f1.Zlpr().loss(z[:, i : i + 1], y[:, i : i + 1])[0]) for i in range(4)]
    assert rows == pytest.approx(data["zlpr_per_row"], abs=1e-12)
    assert float(f1.BinaryCrossEntropy().loss(z, y)[0]) == pytest.approx(data["bce_mean"], abs=1e-12)


def test_several_classes(reference):
    """Lovász-softmax over the classes present and soft F1 of the softmax (macro, micro) equal the reference."""
    data = reference["multiclass"]
    z = torch.tensor(data["logits"], dtype=torch.float64).unsqueeze(0)
    y = torch.nn.functional.one_hot(torch.tensor(data["targets"]), 3).double().unsqueeze(0)
    assert float(f1.LovaszSoftmax().loss(z, y)[0]) == pytest.approx(data["lovasz_softmax_present"], abs=1e-12)
    for average, key in (("macro", "soft_macro_f1"), ("micro", "soft_micro_f1")):
        value, _ = f1.SoftF1(average=average, link="softmax").loss(z, y)
        assert 1 - float(value) == pytest.approx(data[key], abs=1e-12)


def test_the_worked_example_of_double_soft_f1(reference):
    """Double soft F1 and soft F1 reproduce stats.stackexchange.com question 554907."""
    data = reference["SE554907"]
    z, y = torch.logit(torch.tensor(data["p"], dtype=torch.float64)), torch.tensor(data["y"], dtype=torch.float64)
    assert float(f1.DoubleSoftF1().loss(z, y)[0]) == pytest.approx(data["double_soft_f1"], abs=1e-12)
    assert float(f1.SoftF1().loss(z, y)[0]) == pytest.approx(data["soft_f1_loss"], abs=1e-12)
