r"""LaTeX: one `tabular` with the rules of the booktabs package, without a preamble."""

from __future__ import annotations

import math
import re

from .table import Plain, Rows, cell_text, columns_and_rows, is_number, numeric_columns

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
}
_TABLE = str.maketrans(_SPECIAL)
_POWER = re.compile(r"(-?[0-9.]+)e([+-])0*([0-9]+)")


def render_latex(rows: Rows, *, digits: int = 6) -> str:
    r"""The table as `tabular`; needs `\usepackage{booktabs}` and, for `"`, a T1 font encoding.

    Every special character of a text is mapped to the command that prints it, so no text can be a command.

    Args:
        digits: significant digits of floats; csv, json and parquet keep them all.
    """
    names, cells = columns_and_rows(rows)
    right = numeric_columns(cells, len(names))
    lines = [
        r"\begin{tabular}{" + "".join("r" if r else "l" for r in right) + "}",
        r"\toprule",
        " & ".join(_text(name) for name in names) + r" \\",
        r"\midrule",
        *(" & ".join(_cell(cell, digits) for cell in row) + r" \\" for row in cells),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _cell(cell: Plain, digits: int) -> str:
    if not is_number(cell):
        return _text(cell)
    if isinstance(cell, float) and math.isinf(cell):
        return r"$\infty$" if cell > 0 else r"$-\infty$"
    number = cell_text(cell, digits=digits)
    if power := _POWER.fullmatch(number):
        mantissa, sign, exponent = power.groups()
        return rf"${mantissa} \times 10^{{{'-' if sign == '-' else ''}{exponent}}}$"
    return f"${number}$" if number.startswith("-") else number


def _text(cell: Plain) -> str:
    text = cell_text(cell).translate(_TABLE).replace("--", "-{}-")
    # After `\\` a bracket or a star would be read as its argument.
    return "{}" + text if text.startswith(("[", "*")) else text
