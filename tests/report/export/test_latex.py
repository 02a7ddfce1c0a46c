"""latex: a table alone, and no text becomes a command."""

from __future__ import annotations

import math
import re

import pytest
from written import HOSTILE, render_rows

_PRINTING = (
    r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl|textasciigrave)\{\}"
)


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_has_no_command_from_data(text):
    """What is left of a cell after the printing commands has no backslash, brace, active or special character."""
    body = render_rows([{"reason": text}], "latex").splitlines()[4]
    assert body.endswith(r" \\")
    cell = re.sub(_PRINTING, "", body.removesuffix(r" \\"))
    cell = re.sub(r"\\[{}&%$#_]", "", cell).replace("-{}-", "").removeprefix("{}")
    assert not re.search(r"[\\{}&%$#_~^<>|\"`]", cell)
    assert not cell.startswith(("[", "*")) or body.startswith("{}")


def test_latex_is_a_table_alone():
    """The golden text: booktabs rules, powers of ten, no preamble."""
    rows = [
        {"method": "rloo", "variance": 1.5e-7, "bias": -0.25},
        {"method": "a_b", "variance": math.inf, "bias": None},
    ]
    assert render_rows(rows, "latex") == (
        "\\begin{tabular}{lrr}\n\\toprule\nmethod & variance & bias \\\\\n\\midrule\n"
        "rloo & $1.5 \\times 10^{-7}$ & $-0.25$ \\\\\n"
        "a\\_b & $\\infty$ &  \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )
