"""The training loop against hand-written loops and closed forms."""

from __future__ import annotations

import itertools
import math
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_bench.lab.training import Diverged, Joins, Training, adam, default_marks, train


class Quadratic(nn.Module):
    """`x` of shape [R, D], pulled towards `goal`."""

    def __init__(self, start: torch.Tensor) -> None:
        super().__init__()
        self.x = nn.Parameter(start.clone())


def sgd(lr: float):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


def quadratic(start, *, lr=0.1, curvature=1.0, joins=(), replicates=1, noise=None, **more) -> Training:
    """Half the squared length of x times the curvature, one loss a replicate; the state counts the steps."""
    model = Quadratic(torch.as_tensor(start, dtype=torch.float64).reshape(replicates, -1))
    scale = torch.as_tensor(curvature, dtype=torch.float64)

    def loss(batch, state, noise):
        return scale * 0.5 * model.x.square().sum(-1), (state or 0) + 1

    arguments = {
        "model": model,
        "batches": lambda step: None,
        "loss": loss,
        "make_optimizer": sgd(lr),
        "noise": noise or Noise.seeded(0, dtype=torch.float64),
        "joins": tuple(joins),
        "replicates": replicates,
    }
    return Training(**(arguments | more))


def norms(training):
    return lambda: {"norm": training.model.x.norm(dim=-1)}


# -- the step ---------------------------------------------------------------------------------------------------------


def test_gradient_descent_on_a_quadratic_contracts_geometrically():
    """With rate .1 on a half square, x after n steps is .9^n of its start."""
    training = quadratic([3.0, 4.0])
    curve = train(training, steps=30, measure=norms(training)).curve
    for point, values in curve:
        assert values["norm"].item() == pytest.approx(5 * 0.9**point.step, rel=1e-12)


def test_a_step_works_where_the_worker_forbids_gradients():
    """Inside no_grad the step enables what it needs, and leaves no_grad as it found it."""
    training = quadratic([1.0])
    with torch.no_grad():
        training.step()
        assert not torch.is_grad_enabled()
    assert training.model.x.item() == pytest.approx(0.9)


def test_steps_equal_a_hand_written_loop():
    """A small network with Adam has, bit for bit, the parameters of the plain loop."""

    def fresh():
        noise = Noise.seeded(7)
        layers = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
        with torch.no_grad():
            for i, p in enumerate(layers.parameters()):
                p.copy_(noise.at(i).normal(*p.shape))
        return layers

    data, labels = Noise.seeded(8).normal(40, 5), Noise.seeded(9).integers(3, 40)
    ours, plain = fresh(), fresh()
    training = Training(
        model=ours,
        batches=lambda step: slice(4 * (step % 10), 4 * (step % 10) + 4),
        loss=lambda rows, state, noise: (nn.functional.cross_entropy(ours(data[rows]), labels[rows]), state),
        make_optimizer=lambda parameters: adam(parameters, 0.01),
        noise=Noise.seeded(0),
    )
    train(training, steps=25, measure=lambda: {"sum": data.sum()})
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01, fused=True)
    for step in range(25):
        rows = slice(4 * (step % 10), 4 * (step % 10) + 4)
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(data[rows]), labels[rows]).backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))


def test_noise_is_keyed_by_step():
    """Two methods with different appetite see the same first number at each step."""
    seen: dict[int, list[float]] = {1: [], 5: []}
    for appetite, numbers in seen.items():
        training = quadratic([1.0])

        def loss(batch, state, noise, training=training, appetite=appetite, numbers=numbers):
            numbers.append(noise.normal(appetite)[0].item())
            return training.model.x.square().sum(), state

        training.loss = loss
        for _ in range(4):
            training.step()
    firsts = [Noise.seeded(0, dtype=torch.float64).at(step).normal(5)[0].item() for step in range(4)]
    assert seen[5] == firsts
    assert len(set(firsts)) == 4
    singles = [Noise.seeded(0, dtype=torch.float64).at(step).normal(1)[0].item() for step in range(4)]
    assert seen[1] == singles


def test_batches_are_keyed_by_step_across_calls():
    """A second call of train goes on with the next batch."""
    steps = []
    training = quadratic([1.0], batches=steps.append)
    train(training, steps=3, measure=norms(training))
    train(training, steps=2, measure=norms(training))
    assert steps == [0, 1, 2, 3, 4]


def test_the_state_is_threaded_and_can_be_frozen():
    """The state counts the steps, but not those taken frozen."""
    training = quadratic([1.0])
    training.step()
    with training.frozen():
        training.step()
        training.step()
    training.step()
    assert (training.state, training.done) == (2, 4)


def test_adam_is_fused():
    """Adam takes the fused form on a CPU, and moves every coordinate by its rate at the first step."""
    p = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = adam([p], 0.25)
    (p**3).sum().backward()
    optimizer.step()
    assert optimizer.defaults["fused"] is True
    # Both gradients, 3 and 12, are positive; epsilon is 1e-8 of them.
    assert p.detach().tolist() == pytest.approx([0.75, -2.25], rel=1e-6)


# -- joins ------------------------------------------------------------------------------------------------------------


class Logged(Joins):
    """Writes down what runs, and owns a parameter if it is told to."""

    def __init__(self, name: str, log: list[str], *, owns=(), period: int = 1) -> None:
        self.name, self.log, self.owns, self.period = name, log, owns, period

    def note(self, what: str) -> None:
        self.log.append(f"{self.name}.{what}")

    def optimizers(self):
        return [torch.optim.SGD(self.owns, lr=0.5)] if self.owns else []

    @contextmanager
    def forward(self):
        self.note("enter")
        yield
        self.note("leave")

    def penalty(self, taps):
        self.note(f"penalty({torch.is_grad_enabled()})")

    def gradient_(self):
        self.note(f"gradient({torch.is_grad_enabled()})")

    def after_(self, step):
        self.note(f"after({step})")

    @contextmanager
    def measuring(self):
        self.note("swap")
        try:
            yield
        finally:
            self.note("restore")

    def finish_(self):
        self.note("finish")


def test_hooks_run_in_the_order_of_their_tuple():
    """forward, penalty, gradient, after: in order within each kind; grad is enabled for the penalty alone."""
    log: list[str] = []
    training = quadratic([1.0], joins=(Logged("a", log), Logged("b", log)))
    with torch.no_grad():
        training.step()
    assert log == [
        *("a.enter", "b.enter", "a.penalty(True)", "b.penalty(True)", "b.leave", "a.leave"),
        *("a.gradient(False)", "b.gradient(False)", "a.after(1)", "b.after(1)"),
    ]


def test_measuring_swaps_and_restores_and_finish_is_last():
    """Joins are entered around every measurement, left in reverse, and finished after the last one."""
    log: list[str] = []
    training = quadratic([1.0], joins=(Logged("a", log), Logged("b", log)))
    train(training, steps=0, measure=lambda: (log.append("measure"), norms(training)())[1])
    assert log == ["a.swap", "b.swap", "measure", "b.restore", "a.restore", "a.finish", "b.finish"]


def test_weights_are_restored_when_measuring_raises():
    """An error inside a measurement leaves the joins, and the modes of the modules as they were."""
    log: list[str] = []
    training = quadratic([1.0], joins=(Logged("a", log),))
    with pytest.raises(ZeroDivisionError):
        train(training, steps=0, measure=lambda: {"x": torch.tensor(1 / 0)})
    assert log == ["a.swap", "a.restore"]
    assert training.model.training


def test_a_join_owns_its_parameters():
    """The join's optimizer moves what it owns, the task's everything else."""
    model = nn.Module()
    model.mine, model.theirs = (nn.Parameter(torch.ones(())) for _ in range(2))
    training = quadratic(
        [1.0],
        model=model,
        joins=(Logged("a", [], owns=[model.mine]),),
        loss=lambda batch, state, noise: (0.5 * (model.mine**2 + model.theirs**2), state),
    )
    training.step()
    assert (model.mine.item(), model.theirs.item()) == pytest.approx((0.5, 0.9))


def test_a_penalty_is_added_once_to_stacked_losses():
    """Penalties of shape [R] and [] (a sum over replicates) give the gradients of single trainings.

    Weight decay with coefficient c contracts by 1 - .1 (1 + c) a step.
    """

    class Decay(Joins):
        def __init__(self, summed: bool) -> None:
            self.summed = summed

        def penalty(self, taps):
            each = 0.5 * 2.0 * training.model.x.square().sum(-1)
            return each.sum() if self.summed else each

    for summed in (True, False):
        training = quadratic([[1.0], [2.0], [3.0]], joins=(Decay(summed),), replicates=3)
        training.step()
        assert training.model.x.flatten().tolist() == pytest.approx([0.7, 1.4, 2.1])


def test_taps_hand_over_the_inputs_of_the_step():
    """A penalty reads the input that a module saw in this very step, on the graph; measurements leave no trace."""
    layer = nn.Linear(2, 1, bias=False)
    heard = []

    class Tapped(Joins):
        taps = {"layer": layer}  # noqa: RUF012  # as a method would write it

        def penalty(self, taps):
            heard.append(taps["layer"].tolist())
            return 0.0 * taps["layer"].sum()

    training = quadratic(
        [1.0],
        model=layer,
        joins=(Tapped(),),
        batches=lambda step: torch.full((1, 2), float(step)),
        loss=lambda batch, state, noise: (layer(batch).sum(), state),
    )
    train(training, steps=2, measure=lambda: {"y": layer(torch.full((1, 2), 99.0)).sum()})
    assert heard == [[[0.0, 0.0]], [[1.0, 1.0]]]


def test_the_workload_is_one_whole_period_of_the_same_step():
    """Joins of periods 4 and 6 are timed over 12 steps, which move the parameters just as training does."""
    joins = (Logged("a", [], period=4), Logged("b", [], period=6))
    training = quadratic([1.0], joins=joins)
    work = training.workload()
    work.call()
    assert (work.units, work.unit, training.done) == (12, "step", 12)
    assert training.model.x.item() == pytest.approx(0.9**12)


# -- marks, curves and until ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 2, 12, 2000, 8000])
def test_default_marks_hold_both_ends_and_grow_evenly(steps):
    """0 and the end are marks; at most twelve in all, in order, at equal ratios up to rounding."""
    marks = default_marks(steps)
    assert (marks[0], marks[-1]) == (0, steps)
    assert list(marks) == sorted(set(marks))
    assert len(marks) <= 12
    if steps >= 2000:
        assert len(marks) == 12
        # Rounding moves each of the two by at most one half: .5 / a + .5 / b < 1 / a.
        assert all(b / a == pytest.approx(steps**0.1, rel=1 / a) for a, b in itertools.pairwise(marks[1:]))


def test_the_last_step_is_always_measured():
    """Marks that leave out the end get it."""
    training = quadratic([1.0])
    curve = train(training, steps=7, measure=norms(training), marks=(2, 5)).curve
    assert [point.step for point, _ in curve] == [2, 5, 7]


@pytest.mark.parametrize(("steps", "marks"), [(5, (6,)), (5, (-1,)), (-1, ())])
def test_marks_outside_of_the_training_are_refused(steps, marks):
    """A mark before 0 or after the end, or a negative number of steps, says so."""
    training = quadratic([1.0])
    with pytest.raises(ValueError, match="got"):
        train(training, steps=steps, measure=norms(training), marks=marks)


def test_until_stops_at_the_first_measurement_that_holds():
    """.9^n < 1e-3 first at n = 66, the smallest integer above log 1e-3 / log .9."""
    training = quadratic([1.0])
    trained = train(
        training, steps=500, measure=norms(training), marks=range(501), until=lambda v: bool((v["norm"] < 1e-3).all())
    )
    assert trained.steps == math.ceil(math.log(1e-3) / math.log(0.9)) == 66
    assert trained.diverged is None


def test_measuring_is_in_eval_mode_without_gradients():
    """Dropout is off and nothing is recorded for a backward pass, whoever calls; training mode is back afterwards."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    model[1].eval()  # a module that its owner keeps in eval mode stays there
    modes = []
    training = quadratic([1.0], model=model, loss=lambda batch, state, noise: (model(torch.ones(3)).sum(), state))

    def measure():
        modes.append((model.training, torch.is_grad_enabled()))
        return {"x": model(torch.ones(3)).sum()}

    train(training, steps=2, measure=measure, marks=(0,))
    assert modes == [(False, False)] * 2
    assert (model.training, model[0].training, model[1].training) == (True, True, False)


def test_counts_leave_measuring_out():
    """A point carries the units counted by its steps alone: 3 a step, whatever measuring and others counted."""
    counter = Counter()
    counter.add(evaluations=1000)
    training = quadratic([1.0])
    inner = training.loss

    def loss(batch, state, noise):
        counter.add(evaluations=3)
        return inner(batch, state, noise)

    def measure():
        counter.add(evaluations=77, products=5)
        return norms(training)()

    training.loss = loss
    curve = train(training, steps=9, measure=measure, marks=(0, 4, 9), counter=counter).curve
    assert [point.counts.get("evaluations") for point, _ in curve] == [0, 12, 27]
    assert all(point.counts.get("products", 0) == 0 for point, _ in curve)


# -- stacks -----------------------------------------------------------------------------------------------------------


def test_a_stack_equals_its_singles():
    """Three replicates with their own starts and noise, trained together with Adam, equal three single trainings.

    Elementwise work alone: a vector unit may round a product and a sum once or twice, depending on the position in the
    vector, hence a few units in the last place and not equality.
    """
    starts = Noise.seeded(1, dtype=torch.float64).normal(3, 4)
    noise = Noise.seeded(2, dtype=torch.float64)

    def run(rows: list[int]) -> torch.Tensor:
        model = Quadratic(starts[rows])

        def loss(batch, state, noise):
            target = noise.normal(3, 4)[rows]
            return (model.x - target).pow(4).mean(-1), state

        training = Training(
            model=model,
            batches=lambda step: None,
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, 0.05),
            noise=noise,
            replicates=len(rows),
        )
        for _ in range(40):
            training.step()
        return model.x.detach()

    singles = torch.cat([run([r]) for r in range(3)])
    torch.testing.assert_close(run([0, 1, 2]), singles, rtol=1e-13, atol=1e-14)


def test_an_averaged_loss_would_not_equal_the_singles():
    """The loss must be summed over replicates: a loss [R] moves each replicate by its full rate under SGD."""
    training = quadratic([[1.0], [2.0]], replicates=2)
    training.step()
    assert training.model.x.flatten().tolist() == pytest.approx([0.9, 1.8])


def test_a_parameter_that_replicates_share_is_refused():
    """A trainable parameter without the leading R would couple the replicates."""
    with pytest.raises(ValueError, match=r"'x' must have a leading dimension of 2 replicates, got shape \(3, 1\)"):
        quadratic([1.0, 1.0], model=Quadratic(torch.ones(3, 1)), replicates=2)


def test_a_loss_that_was_not_averaged_over_its_batch_is_refused():
    """A loss [64] with one replicate is a mistake, not a sum."""
    training = quadratic([1.0])
    training.loss = lambda batch, state, noise: (training.model.x.sum() * torch.ones(64), state)
    with pytest.raises(ValueError, match=r"shape \[\] or \[1\].*got \(64,\)"):
        training.step()


# -- divergence -------------------------------------------------------------------------------------------------------


def test_divergence_is_a_value_with_its_curve():
    """With rate 1e5 on a half square x grows by 1e5 a step and overflows; the curve up to there stays."""
    training = quadratic([1.0], lr=1e5)
    trained = train(training, steps=1000, measure=norms(training), marks=(0, 10, 1000))
    assert trained.diverged is not None
    assert trained.diverged.whole
    # 1e5^n exceeds the largest double, 1.8e308, from n = 62 on, and the square in the loss from n = 31 on.
    assert (trained.diverged.step, trained.diverged.where[0][1]) == (50, "loss")
    assert [point.step for point, _ in trained.curve] == [0, 10]
    assert trained.steps == 50
    assert trained.final["norm"].isnan().all()


def test_one_diverging_replicate_is_censored_and_the_others_go_on():
    """Of three replicates the second has a curvature beyond 2 / rate; the others end where they would alone."""
    training = quadratic([[1.0], [1.0], [2.0]], curvature=[1.0, 1e5, 1.0], replicates=3)
    trained = train(training, steps=200, measure=norms(training), marks=(0, 20, 120))
    assert trained.diverged is not None
    assert (trained.diverged.replicates, trained.diverged.of, trained.diverged.whole) == ((1,), 3, False)
    # The curvature times the rate is 1e4: |x| = 9999^n, whose square in the loss overflows at n = 39.
    assert trained.diverged.step == 50
    assert "replicate 1 of 3: loss not finite at step 50" in str(trained.diverged)
    (_, early), (_, late) = trained.curve[1], trained.curve[2]
    assert early["norm"][1].isfinite()
    assert late["norm"][1].isnan()
    assert trained.steps == 200
    assert trained.final["norm"][[0, 2]].tolist() == pytest.approx([0.9**200, 2 * 0.9**200])


def test_a_summed_loss_still_names_the_replicate():
    """A loss [] hides who overflowed, so nobody is blamed before the parameters tell: 9999^n overflows at n = 78."""
    training = quadratic([[1.0], [1.0]], curvature=[1.0, 1e5], replicates=2)
    inner = training.loss

    def loss(batch, state, noise):
        each, state = inner(batch, state, noise)
        return each.sum(), state

    training.loss = loss
    trained = train(training, steps=100, measure=norms(training), marks=(100,))
    assert trained.diverged is not None
    assert trained.diverged.where == {1: (100, "x")}


def test_a_measured_value_that_is_not_finite_is_divergence():
    """A score that overflows while the parameters are finite cannot be ranked."""
    training = quadratic([1.0])
    values = iter([1.0, 2.0, math.inf])
    trained = train(training, steps=5, measure=lambda: {"nll": torch.tensor(next(values))}, marks=(0, 1, 2, 5))
    assert trained.diverged is not None
    assert trained.diverged.where == {0: (2, "nll")}


def test_divergence_is_looked_for_every_fifty_steps_only():
    """Between marks the device is waited for once in 50 steps."""
    training = quadratic([1.0])
    looks = []
    check = training.check
    training.check = lambda: (looks.append(training.done), check())[1]
    train(training, steps=170, measure=norms(training), marks=(0, 60))
    assert looks == [0, 50, 60, 100, 150, 170]


def test_check_names_the_parameter():
    """A parameter that is not finite is named, with the step."""
    training = quadratic([1.0, 2.0])
    training.check()
    with torch.no_grad():
        training.model.x[0, 1] = math.nan
    with pytest.raises(Diverged) as found:
        training.check()
    assert found.value.where == {0: (0, "x")}


def test_a_training_without_a_whole_finite_start_ends_at_once():
    """If nothing is finite at step 0 no step is taken and nothing is measured."""
    training = quadratic([math.nan])
    trained = train(training, steps=10, measure=norms(training))
    assert (trained.steps, trained.curve, dict(trained.final)) == (0, (), {})
    assert trained.diverged is not None
    assert trained.diverged.step == 0


def test_the_last_loss_is_that_of_the_last_step():
    """Without penalties and off the graph; None before the first step."""
    training = quadratic(torch.ones(3))
    assert training.last_loss is None
    training.step()
    first = training.last_loss
    assert not first.requires_grad
    training.step()
    assert float(training.last_loss.sum()) < float(first.sum())
