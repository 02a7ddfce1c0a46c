"""Methods that keep weights on the manifold or lead them there: properties, and defects of peers that they avoid."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from kexue_orthogonality import (
    Bjorck,
    GeooptSGD,
    GeotorchStiefel,
    Landing,
    Muon,
    NewtonSchulz,
    OrthogoniumBjorck,
    Parametrization,
    PolarExpress,
    PolarProjection,
    RiemannianSGD,
    WeightTarget,
    polar,
    targets_of,
)
from kexue_orthogonality.tasks.layers import StackedLinear

HELD = [
    Parametrization(map="cayley"),
    Parametrization(map="matrix_exp"),
    Parametrization(map="householder"),
    RiemannianSGD(lr=0.05),
    RiemannianSGD(lr=0.05, momentum=0.5, retraction="polar"),
    PolarProjection(every=1),
]
ITERATED = [NewtonSchulz(steps=25), NewtonSchulz(degree=3, steps=30), Bjorck(steps=30), PolarExpress(steps=12)]
MOVING = [Landing(lr=0.05), Muon(), PolarProjection(every=3)]
SHAPES = [(4, 4), (7, 3), (3, 7)]


def gaussian(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def label(method):
    return "-".join(str(value) for value in (type(method).__name__, *vars(method).values()))


class Loop:
    """A user's training loop: a loss, a step, and what the session adds."""

    def __init__(self, method, weight, *, lr=0.05, decay=0.0):
        self.layer = StackedLinear(weight.clone(), bias=False)
        self.target = WeightTarget(name="weight", module=self.layer, stacked=True)
        self.session = method.attach((self.target,))
        self.optimizers = list(self.session.optimizers())
        if rest := self.session.rest(self.layer.parameters()):
            self.optimizers.append(torch.optim.SGD(rest, lr=lr, weight_decay=decay))

    def run(self, goal, steps):
        for step in range(1, steps + 1):
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            with self.session.forward():
                (self.layer.weight - goal).square().sum().backward()
            for optimizer in self.optimizers:
                optimizer.step()
            self.session.after_(step)
        return self.target.matrix().detach()


def error(matrix):
    return float((torch.linalg.svdvals(matrix) - 1).abs().max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", HELD, ids=label)
def test_held_weights_start_at_the_polar_factor_and_stay_orthonormal(method, shape):
    """All singular values are 1 at every step, for wide and tall layers, and the start is the nearest such matrix."""
    weight = gaussian(2, *shape)
    loop = Loop(method, weight)
    start = weight if shape[0] > shape[1] else weight.mT
    torch.testing.assert_close(loop.target.matrix().detach(), polar(start), rtol=0, atol=1e-13)
    for _ in range(10):
        assert error(loop.run(gaussian(2, *shape, seed=1), 1)) < 1e-13


@pytest.mark.parametrize("method", HELD[:5], ids=label)
def test_descent_reaches_the_nearest_point(method):
    """Min |W - M|^2 over 6 x 3 matrices is at polar(M), from the polar factor of a perturbed M."""
    goal = gaussian(2, 6, 3, seed=3)
    loop = Loop(method, goal + 0.5 * gaussian(2, 6, 3))
    torch.testing.assert_close(loop.run(goal, 800), polar(goal), rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", ITERATED, ids=label)
@pytest.mark.parametrize("shape", SHAPES)
def test_iterations_end_at_the_polar_factor_at_any_norm(method, shape):
    """Scaling by the largest singular value makes a start of norm 50 as good as one of norm 1."""
    weight = 50 * gaussian(2, *shape)
    start = weight if shape[0] > shape[1] else weight.mT
    torch.testing.assert_close(Loop(method, weight).target.matrix().detach(), polar(start), rtol=0, atol=1e-11)


@pytest.mark.parametrize("method", ITERATED, ids=label)
def test_what_is_attached_is_the_last_of_the_iterates(method):
    """Tasks count iterates; training uses the same ones."""
    weight = gaussian(1, 6, 3)
    iterates = method.iterates(weight[0])
    last = [next(iterates) for _ in range(method.steps + 1)][-1]
    torch.testing.assert_close(Loop(method, weight).target.matrix().detach()[0], last)


@pytest.mark.parametrize("method", [*HELD, *ITERATED, *MOVING], ids=label)
def test_a_stack_of_replicates_is_its_singles(method):
    """Twelve steps of three networks at once equal those of each alone."""
    weights, goals = gaussian(3, 5, 4), gaussian(3, 5, 4, seed=1)
    stacked = Loop(method, weights).run(goals, 12)
    singles = [Loop(method, weights[i : i + 1]).run(goals[i : i + 1], 12) for i in range(3)]
    torch.testing.assert_close(stacked, torch.cat(singles), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("method", [*HELD, *ITERATED], ids=label)
def test_float32_weights_are_orthonormal_to_rounding(method):
    """Nothing is computed in a hidden lower precision."""
    loop = Loop(method, gaussian(2, 6, 4).float())
    matrix = loop.run(gaussian(2, 6, 4, seed=1).float(), 5)
    assert matrix.dtype == torch.float32
    assert error(matrix) < 2e-5


@pytest.mark.parametrize("method", [*HELD[:3], *ITERATED], ids=label)
def test_parametrized_models_can_be_copied_and_restored(method):
    """A deep copy trains apart from its original; a state dict loads into a fresh model with other weights."""
    model = nn.Linear(6, 4).double()
    method.attach(targets_of(model))
    twin = copy.deepcopy(model)
    twin.weight.square().mul(torch.arange(6.0)).sum().backward()
    with torch.no_grad():
        for parameter in twin.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.1 * parameter.grad)
    assert not torch.allclose(twin.weight, model.weight)
    other = nn.Linear(6, 4).double()
    method.attach(targets_of(other))
    other.load_state_dict(twin.state_dict())
    torch.testing.assert_close(other.weight, twin.weight)


def test_weights_are_mapped_once_a_step():
    """A recurrent layer uses its weight at every time step: within one forward it is the same tensor."""
    model = nn.Linear(4, 4)
    session = Parametrization().attach(targets_of(model))
    with session.forward():
        assert model.weight is model.weight
    assert model.weight is not model.weight


# -- defects of peers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cayley", "matrix_exp", "householder"])
def test_weight_decay_leaves_weights_orthogonal(name):
    """Decay of 0.1 per step for 200 steps: free matrices go to 0, weights stay on the manifold."""
    loop = Loop(Parametrization(map=name), gaussian(2, 7, 3), lr=1.0, decay=0.1)
    assert error(loop.run(torch.zeros(2, 7, 3, dtype=torch.float64), 200)) < 1e-12


def test_torchs_householder_does_not_survive_weight_decay():
    """The defect that the test above keeps out: torch stores signs in what is decayed and casts them to int, W = 0."""
    layer = parametrizations.orthogonal(nn.Linear(3, 7, bias=False), orthogonal_map="householder")
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(0.999)
    assert not bool(layer.weight.detach().any())


def test_no_method_draws_from_the_global_generator():
    """Torch's maps complete tall starts by global noise, so that results depend on what ran before."""
    for method in (*HELD, *ITERATED, *MOVING):
        before = torch.get_rng_state()
        Loop(method, gaussian(2, 7, 3)).run(gaussian(2, 7, 3, seed=1), 2)
        assert torch.equal(before, torch.get_rng_state()), method


def test_thin_matrices_do_not_cost_the_cube_of_their_length():
    """4096 x 4 under torch's maps exponentiates a 4096 x 4096 matrix; ours needs fewer operations than 100 d k^2."""
    from kexue_orthogonality import flops

    weight = gaussian(1, 4096, 4)
    for name in ("cayley", "matrix_exp", "householder"):
        loop = Loop(Parametrization(map=name), weight)
        assert flops.count(loop.target.weight) < 100 * 4096 * 4**2


def test_landing_takes_tall_matrices_and_iterators_of_targets():
    """The released optimizer accepts only square ones and exhausts the generator of parameters when it projects."""
    loop = Loop(Landing(lr=0.05), gaussian(1, 7, 3))
    assert error(loop.run(gaussian(1, 7, 3, seed=1), 500)) < 0.1


def test_landing_at_an_absurd_rate_stays_within_its_radius():
    """Lr = 1000: without the safe step the first step leaves the region permanently."""
    loop = Loop(Landing(lr=1e3), polar(gaussian(4, 6, 3)))
    for _ in range(30):
        matrix = loop.run(100 * gaussian(4, 6, 3, seed=1), 1)
        gram = matrix.mT @ matrix - torch.eye(3, dtype=torch.float64)
        assert float(torch.linalg.matrix_norm(gram).max()) <= 0.5 + 1e-9


def test_muons_updates_have_singular_values_in_its_range_and_its_weights_are_free():
    """One step from 0 with gradients that are not nearly singular: W / lr within [0.68, 1.21], and never all 1."""
    loop = Loop(Muon(lr=1.0), torch.zeros(3, 6, 6, dtype=torch.float64))
    values = torch.linalg.svdvals(loop.run(polar(gaussian(3, 6, 6, seed=2)) @ torch.diag(gaussian(6).abs() + 0.5), 1))
    assert 0.68 < float(values.min()) < float(values.max()) < 1.21
    assert float((values - 1).abs().max()) > 0.05


def test_muon_scales_wide_outputs():
    """Out / in = 4 multiplies the update by 2, in / out = 4 by 1."""
    sizes = [Loop(Muon(lr=1.0), torch.zeros(1, *shape, dtype=torch.float64)) for shape in ((8, 2), (2, 8))]
    first = gaussian(1, 8, 2)
    tall, wide = sizes[0].run(first, 1), sizes[1].run(first.mT, 1)
    torch.testing.assert_close(tall, 2 * wide)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (Parametrization, {"map": "qr"}, "map must be one of"),
        (NewtonSchulz, {"degree": 7}, "degree must be 3 or 5"),
        (NewtonSchulz, {"steps": 0}, "steps must be >= 1"),
        (NewtonSchulz, {"scale": "norm"}, "scale must be one of"),
        (Bjorck, {"beta": 0.6}, "singular values exceed 1"),
        (PolarExpress, {"lower": 0.0}, "lower must be in"),
        (PolarExpress, {"safety": 0.9}, "safety must be >= 1"),
        (PolarExpress, {"cushion": 1.0}, "cushion must be in"),
        (RiemannianSGD, {"lr": 0.0}, "lr must be > 0"),
        (RiemannianSGD, {"momentum": 1.0}, "momentum must be in"),
        (RiemannianSGD, {"retraction": "cayley"}, "retraction must be one of"),
        (Landing, {"lr": -1.0}, "lr must be > 0"),
        (Landing, {"strength": 0.0}, "strength must be > 0"),
        (Landing, {"radius": 1.0}, "radius must be in"),
        (PolarProjection, {"every": 0}, "every must be >= 1"),
        (Muon, {"lr": 0.0}, "lr must be > 0"),
        (Muon, {"momentum": 1.0}, "momentum must be in"),
        (Muon, {"steps": 0}, "steps must be >= 1"),
        (GeotorchStiefel, {"map": "qr"}, "map must be one of"),
        (GeooptSGD, {"lr": 0.0}, "lr must be > 0"),
        (GeooptSGD, {"momentum": -0.1}, "momentum must be in"),
        (OrthogoniumBjorck, {"steps": 0}, "steps must be >= 1"),
    ],
)
def test_fields_out_of_range_are_refused(method, options, message):
    """When the method is made, with what is wrong, what was given and what is valid."""
    with pytest.raises(ValueError, match=message):
        method(**options)


# -- competitors, if they are installed -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("package", "method"),
    [("geotorch", GeotorchStiefel()), ("geotorch", GeotorchStiefel(map="cayley")), ("geoopt", GeooptSGD(lr=0.05))],
    ids=str,
)
def test_competitors_hold_what_ours_hold(package, method):
    """Started at the polar factor and orthonormal after ten steps, with the global generator unchanged."""
    pytest.importorskip(package)
    weight, before = gaussian(2, 5, 4), torch.get_rng_state()
    loop = Loop(method, weight)
    torch.testing.assert_close(loop.target.matrix().detach(), polar(weight), rtol=0, atol=1e-12)
    assert error(loop.run(gaussian(2, 5, 4, seed=1), 10)) < 1e-12
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.filterwarnings("ignore")
def test_orthogonium_ends_at_the_polar_factor_too():
    """In float32, the only dtype it computes in."""
    pytest.importorskip("orthogonium")
    weight = gaussian(2, 6, 3).float()
    matrix = Loop(OrthogoniumBjorck(steps=30), weight).target.matrix().detach()
    torch.testing.assert_close(matrix, polar(weight), rtol=0, atol=1e-4)
