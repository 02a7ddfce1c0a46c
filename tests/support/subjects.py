"""Every registered object of every family as a function of one tensor, for tests over dtypes, conditions and modes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import gradient_objects
import installed
import torch
from torch import Tensor, nn

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.precision import working
from kexue_gradients import Enumeration, FunctionObjective
from kexue_gradients import Gamma as PlainGamma
from kexue_logdet import Bounds, Operator
from kexue_logdet.words import NO_GRADIENT
from kexue_orthogonality import targets_of
from kexue_smoothing.contract import KINDS, SCALARS, arguments

Function = Callable[[Tensor], tuple[Tensor, ...]]
Carry = Callable[[Any], Any]
"""What happens to state, or to a model, before it is used: nothing, a copy, or the way through a file."""
FAMILIES = ("gradients", "logdet", "orthogonality", "f1", "smoothing")


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One object on one kind of problem.

    Args:
        family: its family.
        name: as registered.
        kind: of law, target, hard function, or `loss` and `step` of a regularizer.
        method: the object.
        bind: `(method, x, carry)` gives a function and the point that stands for x in it.
        x: float64, entries that half precision holds exactly.
        rows: the dimension of x that is the batch; None if x is one matrix.
        masked: x with masks, and the x of float64 that has the same results; None where masks have no meaning.
        stateful: whether it learns or holds a buffer.
        twice: whether the result has second derivatives in x.
        batched: whether it is a function that `torch.func` may transform.
    """

    family: str
    name: str
    kind: str
    method: Any
    bind: Callable[[Any, Tensor, Carry], tuple[Function, Tensor]]
    x: Tensor
    rows: int | None = 0
    masked: tuple[Tensor, Tensor] | None = None
    stateful: bool = False
    twice: bool = False
    batched: bool = True

    def __str__(self) -> str:
        return f"{self.family}-{self.name}-{self.kind}"


class Twin:
    """A stream with the same draws in every dtype: those of float32, converted."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        self._noise, self.dtype = Noise.seeded(seed), dtype

    def cast(self, dtype: torch.dtype) -> Twin:
        """The stream, at the place where it is, in another dtype."""
        other = Twin(0, dtype)
        other._noise = self._noise
        return other

    def at(self, step: int) -> Twin:
        """As `Noise.at`."""
        other = Twin(0, self.dtype)
        other._noise = self._noise.at(step)
        return other

    @property
    def generator(self) -> torch.Generator:
        """As `Noise.generator`."""
        return self._noise.generator

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        draw = getattr(self._noise, name)

        def converted(*shape: int) -> Tensor:
            drawn = draw(*shape)
            return drawn.to(self.dtype) if drawn.is_floating_point() else drawn

        return converted


OBJECTS = tuple((family, spec.name) for family in FAMILIES for spec in installed.methods(family))
"""Family and name of every registered object."""


@cache
def subjects(family: str, name: str) -> tuple[Subject, ...]:
    """An object on every kind of problem that it is for; none if it needs a further library."""
    spec = next(spec for spec in installed.methods(family) if spec.name == name)
    if spec.requires or "Needs the package" in (_class(spec).__doc__ or ""):
        return ()
    make = {"gradients": _gradients, "logdet": _logdet, "orthogonality": _orthogonality, "f1": _f1}
    return tuple(make.get(family, _smoothing)(spec))


def _class(spec: Any) -> type:
    module, _, name = spec.target.partition(":")
    return getattr(importlib.import_module(module), name)


def _build(spec: Any) -> Any:
    return _class(spec)(**spec.fixed, **spec.defaults)


def _numbers(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers that every dtype holds exactly."""
    return Noise.seeded(seed).normal(*shape).bfloat16().half().double()


def _offered(subject: Subject) -> bool:
    """Whether the object is for this kind of problem at all."""
    with torch.no_grad():
        function, point = subject.bind(subject.method, subject.x, lambda state: state)
        try:
            function(point)
        except (ValueError, AttributeError):
            return False
    return True


# -- gradient estimators ----------------------------------------------------------------------------------------------


class _Gamma(PlainGamma):
    """A gamma law with the same draws in every dtype."""

    def sample(self, noise: Any, *leading: int) -> Tensor:
        return PlainGamma(shape=self.shape.float()).sample(noise, *leading).to(self.shape.dtype)


def _table(kind: str, x: Tensor) -> Enumeration:
    """All states of one variable, each a block."""
    classes = kind == "categorical"
    states = (torch.eye(x.shape[-1]).unsqueeze(1) if classes else torch.tensor([[0.0], [1.0]])).to(x.dtype)
    rows = x.shape[:-1] if classes else x.shape
    values = gradient_objects.square(kind)(states)
    return Enumeration(states=states, values=values.reshape(-1, *(1 for _ in rows)).expand(-1, *rows))


def _estimates(kind: str, multi: bool) -> Callable[[Any, Tensor, Carry], tuple[Function, Tensor]]:
    def bind(method: Any, x: Tensor, carry: Carry) -> tuple[Function, Tensor]:
        def function(x: Tensor) -> tuple[Tensor, ...]:
            law = _Gamma(shape=x) if kind == "gamma" else gradient_objects.law(kind, x)
            held, noise = law.parameters, Twin(0, x.dtype)
            objective: Any = FunctionObjective(gradient_objects.square(kind), table=lambda: _table(kind, held))
            if multi:
                objective = gradient_objects.Bound(law)
            if hasattr(method, "adapt"):
                state = method.init(law, noise.at(9))
                for step in range(2):
                    _, state = method.adapt(law, objective, noise.at(step), 2, state)
                sample = method.estimate(law, objective, noise.at(3), 2, carry(state))
            else:
                sample = method.estimate(law, objective, noise, 2)
            outer = torch.stack([x, x], dim=-1) if kind == "gaussian" else x
            return sample.gradient, sample.value, sample.surrogate(outer)

        return function, x

    return bind


def _gradients(spec: Any) -> Iterator[Subject]:
    method = _build(spec)
    for kind in gradient_objects.KINDS:
        if "discrete" in spec.needs and kind in ("gaussian", "gamma"):
            continue
        x = gradient_objects.numbers(kind, torch.float64)
        masked = None
        if kind in ("bernoulli", "categorical"):
            hidden, far = x.clone(), x.clone()
            hidden[..., 1], far[..., 1] = -torch.inf, -1e9
            masked = hidden, far
        subject = Subject(
            family=spec.family,
            name=spec.name,
            kind=kind,
            method=method,
            bind=_estimates(kind, "multi-sample" in spec.needs),
            x=x,
            masked=masked,
            stateful=hasattr(method, "adapt"),
        )
        if _offered(subject):
            yield subject


# -- log-determinants -------------------------------------------------------------------------------------------------


_PROVEN = {
    "spd": Bounds(low=0.25, high=8.0, provenance="proven"),
    "residual": Bounds(norm=0.9, provenance="proven"),
}


def _forms(kind: str, gradient: bool) -> Callable[[Any, Tensor, Carry], tuple[Function, Tensor]]:
    def bind(method: Any, x: Tensor, carry: Carry) -> tuple[Function, Tensor]:
        def function(x: Tensor) -> tuple[Tensor, ...]:
            matrix = x.to(working(x.dtype))
            spd = kind != "residual"
            op = Operator(
                kind="spd" if spd else "residual",
                n=matrix.shape[-1],
                product=lambda v: matrix @ v,
                transposed=lambda v: matrix.mT @ v,
                dtype=matrix.dtype,
                batch_shape=tuple(matrix.shape[:-2]),
                bounds=_PROVEN["spd" if spd else "residual"],
                target=kind if spd else "logdet",
                params=(matrix,) if gradient and x.requires_grad and torch.is_grad_enabled() else (),
            )
            sample = method.estimate(op, 10**6, Twin(0, matrix.dtype), 2)
            # An error bar may be infinite, and its size jumps with what a rule takes for converged.
            unknown = () if sample.stderr is None else (sample.stderr.isnan().double(),)
            surrogate = () if sample.surrogate is None else (sample.surrogate,)
            return (sample.value, *unknown, *surrogate)

        return function, x

    return bind


def _logdet(spec: Any) -> Iterator[Subject]:
    # As large as the defaults of all methods need, with norm 1/2, and eigenvalues from 1/2 to 5 1/2.
    residual = (_numbers(2, 64, 64) / 32).half().double()
    upper = residual.triu(1)
    matrix = upper + upper.mT + torch.diag(1 + torch.arange(64, dtype=torch.float64) / 16)
    for kind in ("logdet", "trace", "inverse", "residual"):
        gradient = kind in ("logdet", "residual") and NO_GRADIENT not in spec.unless
        x = residual if kind == "residual" else matrix
        batch = Subject(
            family=spec.family, name=spec.name, kind=kind, method=_build(spec), bind=_forms(kind, gradient), x=x
        )
        # Some are for one operator at a time.
        yield from filter(_offered, (batch, replace(batch, x=x[0], rows=None))[:: 1 if _offered(batch) else -1][:1])


# -- regularizers and parametrizations --------------------------------------------------------------------------------

_DATA = _numbers(5, 10, seed=1)


class Whole(nn.Module):
    """A layer with a method attached, whose forward pass is the loss and the penalty."""

    def __init__(self, method: Any, x: Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=False)
        self.layer.weight = nn.Parameter(x.detach().clone(memory_format=torch.preserve_format))
        self.layer.out_features, self.layer.in_features = x.shape
        self.joins = method.attach(targets_of(self.layer))

    def forward(self) -> tuple[Tensor, ...]:
        """The mean square of the responses and, if there is one, the penalty."""
        weight = self.layer.weight
        self.layer(_DATA.to(weight.dtype))
        exact = weight.to(working(weight.dtype))
        loss = (_DATA.to(exact.dtype) @ exact.mT).square().sum()
        penalty = self.joins.penalty()
        return (loss,) if penalty is None else (loss, penalty)


def _loss(method: Any, x: Tensor, carry: Carry) -> tuple[Function, Tensor]:
    whole = carry(Whole(method, x))
    ((name, parameter),) = whole.named_parameters()
    return lambda p: torch.func.functional_call(whole, {name: p}, ()), parameter.detach()


def _step(method: Any, x: Tensor, carry: Carry) -> tuple[Function, Tensor]:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            whole = carry(Whole(method, x))
            rest = whole.joins.rest(whole.parameters())
            optimizers = [*whole.joins.optimizers(), *([torch.optim.SGD(rest, lr=0.01)] if rest else [])]
            with whole.joins.forward():
                sum(whole()).backward()
            with torch.no_grad():
                whole.joins.gradient_()
                for optimizer in optimizers:
                    optimizer.step()
                whole.joins.after_(10)
        return (whole.eval().layer.weight.detach(),)

    return function, x


def _orthogonality(spec: Any) -> Iterator[Subject]:
    if "polynomials" in spec.needs:
        return
    method = _build(spec)
    x = _numbers(6, 10) / 4
    pruned = x.clone()
    pruned[1] = 0
    common = {"family": spec.family, "name": spec.name, "method": method, "x": x, "masked": (pruned, pruned)}
    whole = Whole(method, x)
    with torch.enable_grad():
        results = len(whole())
    if results > 1 or "layer.weight" not in dict(whole.named_parameters()):
        yield Subject(**common, kind="loss", bind=_loss, stateful=bool(dict(whole.named_buffers())), twice=True)
    yield Subject(**common, kind="step", bind=_step, batched=False)


# -- losses of F1 -----------------------------------------------------------------------------------------------------

_LOGITS = _numbers(2, 8, 4)
_TARGETS = nn.functional.one_hot(_LOGITS.argmax(2).roll(1, 1), 4).double()


def _losses(method: Any, x: Tensor, carry: Carry) -> tuple[Function, Tensor]:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        targets = _TARGETS[: x.shape[0], : x.shape[1]].to(x.dtype)
        state = carry(method.init(targets))
        if hasattr(method, "refresh"):
            state = method.refresh(_LOGITS[: x.shape[0], : x.shape[1]].to(x.dtype), targets, state)
        probability = method.probability(x)
        loss = method.loss(x, targets, state)[0]
        return (loss,) if probability is None else (loss, probability)

    return function, x


def _f1(spec: Any) -> Iterator[Subject]:
    hidden = _LOGITS.clone()
    wrong = _TARGETS == 0
    hidden[wrong] = torch.where(torch.arange(int(wrong.sum())) % 3 == 0, -torch.inf, hidden[wrong])
    method = _build(spec)
    yield Subject(
        family=spec.family,
        name=spec.name,
        kind="loss",
        method=method,
        bind=_losses,
        x=_LOGITS,
        rows=1,
        masked=(hidden, hidden.nan_to_num(neginf=-1e9)),
        stateful=method.init(_TARGETS) is not None,
        twice=any(claim.name == "gradient-matches-value" and not claim.when for claim in spec.claims),
    )


# -- smooth operators -------------------------------------------------------------------------------------------------


def _operator(method: Any, x: Tensor, carry: Carry) -> tuple[Function, Tensor]:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        return (method.apply(x, **arguments(method, softness=0.5, k=3, noise=Twin(0, working(x.dtype)))),)

    return function, x


def _smoothing(spec: Any) -> Iterator[Subject]:
    method = _build(spec)
    for kind in KINDS if hasattr(method, "of") else (method.kind,):
        try:
            operator = method.of(kind) if hasattr(method, "of") else method
        except ValueError:
            continue
        x = _numbers(4, 2 if spec.name == "pair-max" else 8)
        x = x.abs() if spec.name == "p-norm" else x
        hidden = x.clone()
        hidden[1, -1] = -torch.inf
        takes = "mask" in inspect.signature(operator.apply).parameters or kind in ("sort", "rank")
        subject = Subject(
            family=spec.family,
            name=spec.name,
            kind=kind,
            method=operator,
            bind=_operator,
            x=x,
            masked=(hidden, hidden) if takes and kind not in SCALARS else None,
            twice=spec.name not in ("hard", "straight-through"),
        )
        if _offered(subject):
            yield subject
