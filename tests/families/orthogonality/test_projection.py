"""The projection task counts exactly, and matrix problems have known optima."""

from __future__ import annotations

import json
import math
from pathlib import Path

import installed
import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import torch

from kexue_bench.lab import stages
from kexue_orthogonality import flops
from kexue_orthogonality.tasks import cosine_bases, descent

EXACT = json.loads((Path(__file__).parent / "reference_matrices.json").read_text(encoding="utf-8"))
DOUBLE = torch.float64


@pytest.fixture
def run(build, context):
    """Evaluate a task with a method, both by name; metric (with labels) -> value, or values of replicates."""

    def evaluate(task, method, *, replicates=1, task_params=None, **params):
        ctx = context(task, task_params, dtype="float64", replicates=tuple(range(replicates)))
        with torch.no_grad():
            stages.evaluate(build(task, **(task_params or {})), build(method, **params), ctx)
        found = {}
        for row in ctx.measurements:
            if row.point is None:
                name = row.metric + "".join(f"[{k}={v}]" for k, v in row.labels.items())
                found.setdefault(name, []).append(row.value)
        return {name: values[0] if len(values) == 1 else values for name, values in found.items()}

    return evaluate


# -- projection -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", ["10", "1000", "1000000"])
@pytest.mark.parametrize(
    ("name", "method", "params", "task"),
    [
        ("cubic", "soft", {}, {}),
        ("cubic", "soft", {"weight": 1.0}, {}),
        ("cubic", "landing", {"lr": 0.5}, {}),
        ("cubic", "newton-schulz", {"degree": 3}, {}),
        ("cubic", "bjorck", {}, {}),
        ("cubic", "double-soft", {}, {"rate": 0.0625}),
        ("quintic", "newton-schulz", {}, {}),
    ],
)
def test_steps_to_1e_12_are_the_exact_counts(run, name, method, params, task, kappa):
    """11 / 22 / 39 steps of the cubic map and 7 / 14 / 25 of the quintic, by the recursion of singular values."""
    found = run("projection", method, task_params={"kappa": float(kappa), **task}, **params)
    assert found["steps-to-1e-12"] == found["exact-steps"] == EXACT["steps_to_1e-12"][kappa][name]


@pytest.mark.slow
@pytest.mark.parametrize("kappa", ["10", "1000", "1000000"])
def test_steps_of_slow_descent_are_the_exact_counts(run, kappa):
    """382 / 500 / 676 steps of gradient descent on |W^T W - I|^2 at rate 0.01."""
    found = run("projection", "soft", task_params={"kappa": float(kappa), "rate": 0.01, "steps": 700})
    assert found["steps-to-1e-12"] == found["exact-steps"] == EXACT["steps_to_1e-12"][kappa]["descent at .01"]


def test_recursion_and_matrices_agree_for_other_sequences(run):
    """Polar Express with and without safety, relaxed Björck: not against another program, but counted in two ways."""
    for method, params in (
        ("polar-express", {}),
        ("polar-express", {"lower": 1e-4, "safety": 1.0, "cushion": 0.0}),
        ("bjorck", {"beta": 0.4}),
        ("landing", {"lr": 0.2}),
    ):
        found = run("projection", method, task_params={"kappa": 100.0, "d": 24, "k": 12, "steps": 200}, **params)
        assert found["steps-to-1e-12"] == found["exact-steps"], method


@pytest.mark.parametrize("method", ["parametrization", "riemannian-sgd", "polar-projection", "orthogonal-init"])
def test_methods_that_are_done_when_attached_take_no_steps(run, method):
    """They need a decomposition: at least that of singular values."""
    found = run("projection", method)
    assert found["steps-to-1e-12"] == 0
    assert found["flops-to-1e-12"] >= flops.svd(64, 64)
    assert found["polar-distance"] < 1e-10


def test_operations_to_a_tolerance_are_those_of_its_steps(run):
    """The cubic step costs two products of 64 x 64 matrices, each 2 n^3, and the scaling one and its eigenvalues."""
    found = run("projection", "newton-schulz", degree=3)
    scaling = 2 * 64**3 + flops.eigh(64, vectors=False)
    assert found["flops-to-1e-12"] == pytest.approx(22 * 4 * 64**3 + scaling, abs=64)
    assert found["flops-to-1e-6"] == pytest.approx(21 * 4 * 64**3 + scaling, abs=64)


def test_descent_on_soft_orthogonality_changes_sign_beyond_the_root_of_three(run):
    """At rate 1/8 values above sqrt 3 jump over 0 and above sqrt 5 diverge: kept at 1.7, flipped at 1.8, lost at 3."""
    size = {"d": 7, "k": 7, "kappa": 1.01}
    kept = run("projection", "soft", task_params={**size, "scale": 1.7})
    flipped = run("projection", "soft", task_params={**size, "scale": 1.8})
    lost = run("projection", "soft", task_params={**size, "scale": 3.0})
    assert (kept["determinant"], flipped["determinant"]) == (1, -1)
    assert "steps-to-1e-6" not in lost
    assert lost["singular-error"] is None or lost["singular-error"] > 1e6


def test_a_repeated_column_is_mended_by_factorisations_and_not_by_products(run):
    """Rank k - 1: the smallest singular value stays 0 under every polynomial, and the SVD completes the basis.

    Rounding leaves 1e-17 of it, which grows by 1.5 per step: after 30 steps it is still invisible.
    """
    size = {"d": 12, "k": 6, "start": "repeated", "kappa": 10.0, "steps": 30}
    for method, params in (("soft", {}), ("newton-schulz", {"degree": 3})):
        assert run("projection", method, task_params=size, **params)["singular-error"] == pytest.approx(1, abs=1e-6)
    assert run("projection", "parametrization", task_params=size)["singular-error"] < 1e-12


def test_gaussian_starts_are_drawn_from_the_stream_of_the_context(run):
    """N(0, 1 / d) entries; every method sees the same matrix, and it ends at its polar factor."""
    size = {"d": 40, "k": 10, "start": "gaussian"}
    for method in ("soft", "parametrization"):
        found = run("projection", method, task_params=size)
        assert found["polar-distance"] < 1e-9
        assert "determinant" not in found


def test_the_solve_that_is_timed_ends_at_the_tolerance(build, context):
    """One unit is a whole solve: W_0 to 1e-6 or 1e-12, attaching included, the same from call to call."""
    for name, params in (("soft", {}), ("newton-schulz", {}), ("parametrization", {}), ("none", {})):
        task = build("projection", kappa=10, d=16, k=16, tolerance=1e-6, steps=30)
        with torch.no_grad():
            workload = task.workload(build(name, **params), context("projection", dtype="float64", stage="time"))
            first, second = workload.call(), workload.call()
        assert workload.unit == "solve"
        assert torch.equal(first, second)
        reached = float(descent.singular_error(first.reshape(16, 16))) <= 1e-6
        assert reached == (name != "none")


@pytest.mark.parametrize("n", [4, 9])
def test_cosine_bases_are_those_of_scipy(n):
    """Orthonormal DCT-II as columns and DCT-IV, transposed as scipy has them."""
    np.testing.assert_allclose(cosine_bases.dct2(n).T, scipy.fft.dct(np.eye(n), axis=0, norm="ortho"), atol=1e-14)
    expected = scipy.fft.dct(np.eye(n), type=4, axis=0, norm="ortho")
    np.testing.assert_allclose(cosine_bases.dct4(n), expected, atol=1e-14)


# -- problems over orthonormal columns --------------------------------------------------------------------------------


def test_procrustes_optima_are_those_computed_elsewhere(build, context):
    """18.5555730325 with determinant -1 and 18.9794810762 with 1, and scipy's solution has the first."""
    task, ctx = build("procrustes"), context("procrustes", dtype="float64")
    positive, negative = task.optima(ctx)
    assert negative == pytest.approx(EXACT["procrustes"]["optimum"], rel=1e-10)
    assert positive == pytest.approx(EXACT["procrustes"]["other component"], rel=1e-10)
    a, b = (tensor.numpy() for tensor in task._pair(ctx))
    solution, _ = scipy.linalg.orthogonal_procrustes(a, b)
    assert float(np.square(a @ solution - b).sum()) == pytest.approx(negative, rel=1e-12)
    f, _ = task.objective(ctx)
    assert float(f(torch.tensor(solution)[None])[0]) == pytest.approx(negative, rel=1e-12)


def test_eigenvector_optima_are_those_computed_elsewhere(build, context):
    """Minus 3.439, the sum of the four largest eigenvalues, and Brockett's 2.30067100417; no random point is below."""
    ctx = context("eigenvectors", dtype="float64")
    for kind, optimum in (("pca", -EXACT["pca"]["top 4"]), ("brockett", EXACT["pca"]["brockett"])):
        task = build("eigenvectors", kind=kind)
        least, _ = task.optima(ctx)
        assert least == pytest.approx(optimum, rel=1e-10)
        f, _ = task.objective(ctx)
        points = descent.polar(torch.randn(500, 16, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)))
        assert bool((f(points) > least).all())


def test_methods_on_the_manifold_reach_the_optimum_of_their_component(run):
    """Ten starts, both signs of the determinant: the gap in the start's component vanishes, the other is 0.4239."""
    found = run("procrustes", "riemannian-sgd", replicates=10, lr=0.5)
    assert max(found["component-gap"]) < 1e-12
    assert set(found["determinant"]) == {-1.0, 1.0}
    difference = EXACT["procrustes"]["other component"] - EXACT["procrustes"]["optimum"]
    for gap, sign in zip(found["optimum-gap"], found["determinant"], strict=True):
        assert gap == pytest.approx(0 if sign < 0 else difference, abs=1e-9)


def test_principal_components_are_found(run):
    """Riemannian descent spans the first four eigenvectors from every start."""
    found = run("eigenvectors", "riemannian-sgd", replicates=5, task_params={"kind": "pca"}, lr=0.5)
    assert max(found["optimum-gap"]) < 1e-10


def test_divergence_is_a_result(run):
    """Soft orthogonality of weight 100 diverges at once: its replicates are censored instead of raising in an SVD."""
    with pytest.raises(Exception, match="not finite"):
        run("procrustes", "soft", replicates=2, weight=100.0)


def test_measures_of_what_is_not_finite_are_nan_and_others_are_kept():
    """Replicate by replicate."""
    weights = torch.eye(3, dtype=DOUBLE).repeat(3, 1, 1)
    weights[1, 0, 0] = math.inf
    found = descent.censored(lambda w: {"error": descent.singular_error(w)}, weights)
    assert found["error"].tolist()[::2] == [0, 0]
    assert math.isnan(found["error"][1])


# -- frames -----------------------------------------------------------------------------------------------------------


def test_the_welch_bound_and_where_others_replace_it(build):
    """Values computed elsewhere; cos(pi / k) in the plane, 1 / sqrt d above d (d + 1) / 2 vectors."""
    for key, bound in EXACT["welch"].items():
        d, k = (int(part.split("=")[1]) for part in key.split(","))
        if d > 2 and k <= d * (d + 1) / 2:
            assert build("frames", d=d, k=k).coherence_bound() == pytest.approx(bound, rel=1e-9)
    for key, bound in EXACT["d2_coherence"].items():
        assert build("frames", d=2, k=int(key[2:])).coherence_bound() == pytest.approx(bound, rel=1e-9)
    assert build("frames", d=3, k=7).coherence_bound() == pytest.approx(1 / math.sqrt(3))


def test_gaps_vanish_at_the_optimal_frames(build, context):
    """Six diagonals of the icosahedron meet the Welch bound; a Parseval frame meets k - d; both are tight."""
    golden = (1 + math.sqrt(5)) / 2
    rows = [(0, 1, golden), (0, 1, -golden), (1, golden, 0), (1, -golden, 0), (golden, 0, 1), (-golden, 0, 1)]
    vectors = torch.tensor(rows, dtype=DOUBLE).mT
    task, ctx = build("frames", d=3, k=6), context("frames", dtype="float64")
    for scale, parseval in ((vectors.norm(dim=0)[0], False), (vectors.norm() / math.sqrt(3), True)):
        training = descent.descend(build("none"), (vectors / scale)[None], ctx.fork("a", int(parseval)), rate=0.1)
        found = task.measure(training, ctx)()
        assert float(found["welch-gap"]) < 1e-14
        assert float(found["potential-gap"]) < 1e-13
        assert (float(found["parseval-gap"]) < 1e-13) == parseval


def test_half_space_energy_finds_the_icosahedron_and_parametrizations_parseval_frames(run):
    """Six vectors in three dimensions: each method at its own optimum."""
    energy = run("frames", "mhe", replicates=3)
    assert max(energy["welch-gap"]) < 1e-6
    held = run("frames", "parametrization", replicates=3, task_params={"steps": 5})
    assert max(held["parseval-gap"]) < 1e-12
    assert min(held["welch-gap"]) > 0.01


# -- convolutions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
def test_an_orthogonal_flattened_kernel_is_no_orthogonal_convolution(run, stride):
    """Its flattened norm is 1, the convolution is off by more than a third; ocnn with the right padding repairs it."""
    size = {"stride": stride, "size": 8, "steps": 300}
    held = run("convolution", "parametrization", replicates=3, task_params=size)
    assert max(abs(value - 1) for value in held["flattened-norm"]) < 1e-12
    assert min(held["isometry-error"]) > 0.3
    right = run("convolution", "ocnn", replicates=3, task_params=size)
    assert max(right["operator-norm"]) < min(held["operator-norm"])
    if stride == 2:
        assert max(right["isometry-error"]) < 0.02


# -- published figures ------------------------------------------------------------------------------------------------


def test_every_published_figure_of_matrices_is_reproduced(run):
    """Each value lies in its accepted range: Polar Express's coefficients and figure 4, its safety, Muon's range.

    The largest distance of a coefficient is 5e-9, in the last row, which is printed rounded.
    """
    from kexue_bench.catalog import selectors

    cache = {}
    for spec in installed.published("orthogonality"):
        task, method = selectors.parse(spec.task), selectors.parse(spec.method)
        key = (spec.task, spec.method)
        if key not in cache:
            params = {name: values[0] for name, values in task.params.items()}
            cache[key] = run(task.name, method.name, task_params=params, **{n: v[0] for n, v in method.params.items()})
        if spec.kind == "vector":
            for label, printed in spec.entries.items():
                assert abs(cache[key][f"{spec.metric}[{label}]"] - printed) <= spec.within, label
            continue
        value = cache[key][spec.metric]
        assert spec.low is None or value >= spec.low, spec.name
        assert spec.high is None or value <= spec.high, spec.name


def test_the_published_identity_of_spectra_holds_at_a_smaller_size(run):
    """All singular values to 1e-10; at the published size of 32 it takes five seconds."""
    assert run("convolution-spectrum", "none", task_params={"size": 12})["spectrum-error"] < 1e-10


def test_the_sign_task_refuses_methods_that_are_no_polynomial(run):
    """And the error names one that is valid."""
    with pytest.raises(TypeError, match="see polar-express"):
        run("sign-iteration", "soft")


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        ("projection", {"k": 65}, "k must be in"),
        ("projection", {"kappa": 0.5}, "kappa must be >= 1"),
        ("projection", {"rate": 0.0}, "rate, scale and tolerance must be > 0"),
        ("projection", {"start": "random"}, "start must be one of"),
        ("projection", {"steps": 0}, "steps must be >= 1"),
        ("procrustes", {"n": 0}, "n must be >= 1"),
        ("procrustes", {"rate": -1.0}, "rate must be > 0"),
        ("eigenvectors", {"k": 16}, "k must be in"),
        ("eigenvectors", {"kind": "svd"}, "kind must be"),
        ("frames", {"k": 3}, "more than d"),
        ("convolution", {"stride": 3}, "must divide"),
        ("convolution", {"inputs": 0}, "inputs and outputs must be >= 1"),
        ("sign-iteration", {"low": 0.0}, "low must be in"),
        ("sign-iteration", {"steps": 0}, "steps must be >= 1"),
        ("convolution-spectrum", {"size": 3}, "size must be >= 4"),
    ],
)
def test_tasks_refuse_parameters_that_make_no_sense(build, task, params, message):
    """When they are made."""
    with pytest.raises(ValueError, match=message):
        build(task, **params)


def test_an_exact_value_carries_the_interval_of_its_rounding():
    """An error of 7e-16 known to 1e-14 may be 0, one of 9e-14 may not; without rounding the interval is a point."""
    seen = {}

    class Recorder:
        def record(self, metric, value, *, interval, flags):
            seen[metric] = (value, interval, flags)

    descent.record_exact(Recorder(), "small", 7e-16, rounding=1e-14)
    descent.record_exact(Recorder(), "large", 9e-14, rounding=1e-14)
    descent.record_exact(Recorder(), "steps", 3.0)
    assert seen["small"] == (7e-16, (0.0, pytest.approx(1.07e-14)), ("exact",))
    assert seen["large"][1] == pytest.approx((8e-14, 1e-13))
    assert seen["steps"][1] == (3.0, 3.0)


def test_the_rounding_of_a_start_turns_its_polar_factor_by_no_more_than_is_recorded(run):
    """Solvers that are done when attached are within 4 (k + kappa) epsilons, at condition numbers of 10 and of 10^6."""
    eps = 2.0**-52
    for kappa in (10.0, 1e6):
        for method in ("parametrization", "polar-projection"):
            found = run("projection", method, task_params={"kappa": kappa})
            assert found["polar-distance"] <= 4 * (64 + kappa) * eps
            assert found["singular-error"] <= 64 * eps
