"""Small expressions that specs carry as text: `temperature == 1 and 'quadratic' in offers`, `degree * probes`.

Read by `ast` and evaluated over plain values; nothing but arithmetic, comparison and logic exists in them, so a spec
from a stranger is data. Names are the method's fields, `offers` (the words of the task) and `task.NAME` (its
parameters).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping

from ..api import Scalar
from ..errors import PluginError

_BINARY: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
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


def holds(text: str, *, fields: Mapping[str, Scalar], task: Mapping[str, Scalar], offers: Collection[str]) -> bool:
    """Whether a condition holds; the empty condition always does.

    >>> holds("n > 1 and 'bits' in offers", fields={"n": 2}, task={}, offers={"bits"})
    True

    Raises:
        PluginError: the text is no such expression or names something unknown.
    """
    return not text or bool(_evaluate(text, fields=fields, task=task, offers=offers))


def amount(text: str, *, fields: Mapping[str, Scalar], task: Mapping[str, Scalar], offers: Collection[str]) -> float:
    """The number an expression stands for: declared units of work of one call.

    >>> amount("degree * probes", fields={"degree": 3, "probes": 4}, task={}, offers=())
    12.0

    Raises:
        PluginError: the text is no such expression or names something unknown.
    """
    value = _evaluate(text, fields=fields, task=task, offers=offers)
    if isinstance(value, (int, float)):
        return float(value)
    raise PluginError(f"the expression {text!r} must be a number", got=repr(value))


def _evaluate(
    text: str, *, fields: Mapping[str, Scalar], task: Mapping[str, Scalar], offers: Collection[str]
) -> object:
    def value(node: ast.expr) -> object:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as constant):
                return constant
            case ast.Name(id="offers"):
                return offers
            case ast.Name(id=name) if name in fields:
                return fields[name]
            case ast.Attribute(value=ast.Name(id="task"), attr=name) if name in task:
                return task[name]
            case ast.BoolOp(op=op, values=parts):
                return all(map(value, parts)) if isinstance(op, ast.And) else any(map(value, parts))
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not value(part)
            case ast.UnaryOp(op=ast.USub(), operand=part):
                return operator.neg(value(part))  # pyright: ignore[reportArgumentType]  # a text here is an error below
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](value(left), value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](value(left), value(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return value(body) if value(test) else value(orelse)
        raise PluginError(f"the expression {text!r} has a part that is not allowed or not known", got=ast.unparse(node))

    try:
        return value(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise PluginError(f"the expression {text!r} cannot be read: {error}") from error
