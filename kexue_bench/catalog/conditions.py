"""Small expressions that specs contain as text: `temperature == 1 and 'quadratic' in offers`, `degree * probes`.

They are parsed with `ast` and evaluated over plain values. Only arithmetic, comparison and logic are allowed, so a
third party's spec is data. The names:

- a field of the method;
- `task.NAME`, a parameter or a fact of the task;
- `offers` (the words of the task), `dtype` (of the case), `cost` (declared units of work of one call of the method)
  and `claim` (the claim that a `verify` case checks, else empty). They take precedence over fields of the same name.

A comparison that reads a `task.NAME` which the task lacks, or the `cost` of a method that declares none, is false, and
so is such a name used as a truth value. This affects that comparison only: `not task.power == 2` holds on a task
without `power`.
"""

from __future__ import annotations

import ast
import operator
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ..api import Instance, MethodSpec, Scalar, TaskSpec
from ..errors import PluginError

RESERVED = frozenset({"offers", "dtype", "cost", "claim"})
"""Names that are not fields."""
LARGEST_EXPONENT = 64
_HOLE = re.compile(r"\{([^{}]*)\}")


def _arithmetic(operate: Callable[[float, float], float]) -> Callable[[object, object], float]:
    """An operator that takes only numbers, because a string times a number could fill the memory."""

    def apply(a: object, b: object) -> float:
        if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
            raise TypeError(f"{a!r} and {b!r} are not both numbers")
        return operate(a, b)

    return apply


def _power(a: float, b: float) -> float:
    if abs(b) > LARGEST_EXPONENT or abs(a) > sys.float_info.max ** (1 / LARGEST_EXPONENT):
        raise ValueError(f"the power {a:g} ** {b:g} is too large")
    return a**b


_BINARY: dict[type, Callable[[object, object], float]] = {
    ast.Add: _arithmetic(operator.add),
    ast.Sub: _arithmetic(operator.sub),
    ast.Mult: _arithmetic(operator.mul),
    ast.Div: _arithmetic(operator.truediv),
    ast.FloorDiv: _arithmetic(operator.floordiv),
    ast.Mod: _arithmetic(operator.mod),
    ast.Pow: _arithmetic(_power),
}
_COMPARE: dict[type, Callable] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_UNREADABLE = (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The values of the names in an expression.

    Args:
        fields: fields of the method.
        task: parameters and facts of the task.
        offers: words that the task offers.
        dtype: `float32` or `float64`.
        cost: expression of the method's declared cost, in terms of the other names; empty if it declares none.
        claim: name of the claim that a `verify` case checks, else empty.
    """

    fields: Mapping[str, Scalar] = field(default_factory=dict)
    task: Mapping[str, Scalar] = field(default_factory=dict)
    offers: Collection[str] = frozenset()
    dtype: str = ""
    cost: str = ""
    claim: str = ""


def scope_of(
    spec: MethodSpec, method: Instance, task_spec: TaskSpec, task: Instance, *, dtype: str = "", claim: str = ""
) -> Scope:
    """The scope of a method on a task.

    Raises:
        PluginError: a fact of the task cannot be evaluated.
    """
    return Scope(
        fields=method.params,
        task={**task.params, **facts(task_spec, task)},
        offers=task_spec.offers,
        dtype=dtype or task_spec.dtype,
        cost=spec.cost,
        claim=claim,
    )


def facts(spec: TaskSpec, task: Instance) -> dict[str, Scalar]:
    """Name -> value of every fact, evaluated in order from the task's parameters and earlier facts.

    Raises:
        PluginError: a fact cannot be evaluated, or has the name of a parameter.
    """
    found: dict[str, Scalar] = {}
    for name, text in spec.facts.items():
        if name in task.params:
            raise PluginError(f"the fact {name!r} of task {spec.name!r} has the name of a parameter")
        known = {**task.params, **found}
        try:
            value = _evaluate(text, Scope(fields=known, task=known, offers=spec.offers))
        except _Lacking as lacking:
            raise PluginError(f"the fact {name!r} of task {spec.name!r} reads {lacking.name}, which it lacks") from None
        if not isinstance(value, (bool, int, float, str)):
            raise PluginError(f"the fact {name!r} of task {spec.name!r} must be a number or a string", got=repr(value))
        found[name] = value
    return found


def rare_share(spec: TaskSpec, task: Instance, method: str) -> float:
    """The share that `TaskSpec.rare` gives a method, 0 if none; it reads parameters and facts of the task.

    Raises:
        PluginError: the expression or a fact cannot be evaluated.
    """
    if method not in spec.rare:
        return 0.0
    known = {**task.params, **facts(spec, task)}
    return amount(spec.rare[method], Scope(fields=known, task=known, offers=spec.offers))


def holds(text: str, scope: Scope) -> bool:
    """Whether a condition holds; the empty condition always does.

    >>> holds("n > 1 and 'bits' in offers", Scope(fields={"n": 2}, offers={"bits"}))
    True

    Raises:
        PluginError: the text is not a valid expression or reads an unknown name.
    """
    try:
        return not text or bool(_evaluate(text, scope))
    except _Lacking:
        return False


def amount(text: str, scope: Scope) -> float:
    """The value of a numeric expression: declared units of work of one call.

    >>> amount("degree * probes", Scope(fields={"degree": 3, "probes": 4}))
    12.0

    Raises:
        PluginError: the text is not a valid expression, reads an unknown name, or is not a number.
    """
    try:
        value = _evaluate(text, scope)
    except _Lacking as lacking:
        raise PluginError(f"the expression {text!r} reads {lacking.name}, which is missing here") from None
    if isinstance(value, (int, float)):
        return float(value)
    raise PluginError(f"the expression {text!r} must be a number", got=repr(value))


def sentence(because: str, scope: Scope) -> str:
    """The reason of an `Unless`: every `{expression}` is replaced by its value, floats formatted with `:g`.

    >>> sentence("{cost} products, and {task.budget} are allowed", Scope(cost="2 * 3", task={"budget": 4}))
    '6 products, and 4 are allowed'

    Raises:
        PluginError: an expression cannot be evaluated.
    """

    def value(found: re.Match[str]) -> str:
        try:
            got = _evaluate(found[1], scope)
        except _Lacking as lacking:
            raise PluginError(f"the reason {because!r} reads {lacking.name}, which is missing here") from None
        return f"{got:g}" if isinstance(got, float) else str(got)

    return _HOLE.sub(value, because)


def check(text: str, *, what: str, names: Collection[str] | None = None) -> None:
    """Reject an expression that could never be evaluated.

    Args:
        text: the expression; may be empty.
        what: what it is, for the message: `the condition of method 'rloo'`.
        names: the bare names that it may read; None allows any.

    Raises:
        PluginError: it is malformed, has a part that is not allowed, or reads another name.
    """
    if text:
        try:
            _check(_parsed(text), names)
        except _UNREADABLE as error:
            raise PluginError(f"{what}, {text!r}, cannot be read: {_plain(error)}") from error


def check_sentence(because: str, *, what: str, names: Collection[str] | None = None) -> None:
    """Reject a reason that is empty, has an unmatched brace, or has an expression that could never be evaluated.

    Raises:
        PluginError: the reason is invalid.
    """
    if not because.strip():
        raise PluginError(f"{what} is empty", do="say why the case is left out")
    if {"{", "}"} & set(_HOLE.sub("", because)):
        raise PluginError(f"{what} has an unmatched brace", got=repr(because))
    for found in _HOLE.finditer(because):
        check(found[1].strip() or "()", what=f"the expression in {what}", names=names)


def check_spec(spec: MethodSpec | TaskSpec) -> None:
    """Reject a spec with an expression that could never be evaluated; names of fields are not checked here.

    A task's rules may not read fields; a rule that depends on a method's fields belongs to that method.

    Raises:
        PluginError: a condition, rule, fact or the cost is malformed.
    """
    if isinstance(spec, MethodSpec):
        who, names = f"method {spec.name!r}", None
        check(spec.when, what=f"the condition of {who}")
        check(spec.cost, what=f"the cost of {who}")
        for claim in spec.claims:
            check(claim.when, what=f"the condition of claim {claim.name!r} of {who}")
    else:
        who, names = f"task {spec.name!r}", RESERVED
        for name, text in spec.facts.items():
            check(text, what=f"the fact {name!r} of {who}")
        for name, text in spec.rare.items():
            check(text, what=f"the share of rare seeds of {name!r} of {who}")
    for knob in spec.knobs:
        check(knob.when, what=f"the condition of knob {knob.field!r} of {who}")
    for rule in spec.unless:
        if not rule.when:
            raise PluginError(f"a rule of {who} has no condition, so that nothing would run", got=repr(rule.because))
        check(rule.when, what=f"a rule of {who}", names=names)
        check_sentence(rule.because, what=f"a reason of {who}", names=names)


class _Lacking(Exception):  # noqa: N818  # a signal inside this module, never an error that anyone sees
    """An expression reads something missing: a `task.NAME` that the task lacks, or the cost of a method without one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ast.expr:
    """The expression, every part of which is allowed."""
    node = ast.parse(text.strip(), mode="eval").body
    _check(node, None)
    return node


def _check(node: ast.expr, names: Collection[str] | None) -> None:
    """Walk an expression; raises a ValueError for a part that is not allowed."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str()) | ast.Attribute(value=ast.Name(id="task")):
            pass
        case ast.Name(id=name):
            if names is not None and name not in names:
                raise ValueError(f"it may not read {name!r} (known here: {', '.join(sorted(names))}, task.NAME)")
        case _:
            for part in _parts(node):
                _check(part, names)


def _parts(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BoolOp(values=parts):
            return parts
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=part):
            return [part]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return [left, right]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return [test, body, orelse]
        case ast.Compare(left=left, ops=ops, comparators=parts) if all(type(op) in _COMPARE for op in ops):
            listed = [
                isinstance(op, ast.In | ast.NotIn) and _literals(part) is not None
                for op, part in zip(ops, parts, strict=True)
            ]
            return [left, *(part for part, known in zip(parts, listed, strict=True) if not known)]
    raise ValueError(f"{ast.unparse(node)!r} is not allowed in it")


def _literals(node: ast.expr) -> tuple[Scalar, ...] | None:
    """The values of a tuple of literals, which may stand to the right of `in`; None for anything else."""
    if not isinstance(node, ast.Tuple):
        return None
    values = [part.value for part in node.elts if isinstance(part, ast.Constant)]
    kept = tuple(value for value in values if isinstance(value, (bool, int, float, str)))
    return kept if len(kept) == len(node.elts) else None


def _evaluate(text: str, scope: Scope) -> object:
    try:
        return _Reader(scope=scope).value(_parsed(text))
    except _UNREADABLE as error:
        raise PluginError(f"the expression {text!r} cannot be read: {_plain(error)}") from error


def _plain(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Evaluates an expression that contains only allowed parts."""

    scope: Scope

    def value(self, node: ast.expr) -> object:
        match node:
            case ast.Constant(value=constant):
                return constant
            case ast.Name(id=name):
                return self._named(name)
            case ast.Attribute(attr=name):
                if name not in self.scope.task:
                    raise _Lacking(f"task.{name}")
                return self.scope.task[name]
            case ast.BoolOp(op=op, values=parts):
                return all(map(self._truth, parts)) if isinstance(op, ast.And) else any(map(self._truth, parts))
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not self._truth(part)
            case ast.UnaryOp(operand=part):
                return operator.neg(self.value(part))  # pyright: ignore[reportArgumentType]  # a text here is an error
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](self.value(left), self.value(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body) if self._truth(test) else self.value(orelse)
            case ast.Compare():
                return self._compared(node)
        raise ValueError(f"{ast.unparse(node)!r} is not allowed in it")

    def _named(self, name: str) -> object:
        if name == "cost":
            return self._cost()
        if name in RESERVED:
            return getattr(self.scope, name)
        if name not in self.scope.fields:
            raise ValueError(f"{name!r} is unknown (known: {', '.join(sorted({*self.scope.fields, *RESERVED}))})")
        return self.scope.fields[name]

    def _cost(self) -> object:
        if not self.scope.cost:
            raise _Lacking("cost")
        value = _evaluate(self.scope.cost, self.scope)
        return float(value) if isinstance(value, (int, float)) else value

    def _truth(self, node: ast.expr) -> bool:
        try:
            return bool(self.value(node))
        except _Lacking:
            return False

    def _compared(self, node: ast.Compare) -> bool:
        """`a < b <= c`; false if a side is missing."""
        try:
            left = self.value(node.left)
            for op, part in zip(node.ops, node.comparators, strict=True):
                listed = _literals(part)
                right = self.value(part) if listed is None else listed
                if not _COMPARE[type(op)](left, right):
                    return False
                left = right
        except _Lacking:
            return False
        return True
