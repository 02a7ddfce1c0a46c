"""The lists of the documentation that the code determines; run as a script, it writes them into their pages."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import installed

from kexue_bench.api import STATUSES, MetricSpec

_ROOT = Path(__file__).parents[2]
_DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "target": "described, not judged"}


def glossary() -> str:
    """Statuses, and the columns of the core and of every family."""
    registry = installed.registry()
    lines = [*(f"- `{name}`: {ending.meaning}" for name, ending in STATUSES.items()), "\n## Columns"]
    for family in ("", *registry.families):
        columns = [_column(spec) for spec in registry.metrics.values() if spec.family == family]
        lines += [f"\n{f'### {family}' if family else 'Of every family:'}\n", *columns]
    return "\n".join(lines)


def _column(spec: MetricSpec) -> str:
    name = f"`{spec.heading}` (`{spec.name}`; " if spec.heading else f"`{spec.name}` ("
    return f"- {name}{', '.join(filter(None, (spec.unit, _DIRECTIONS[spec.direction])))}): {spec.summary}"


def modules() -> str:
    """The modules of the package, each with the first line of its docstring."""
    return "\n".join(f"- `{name}`: {line}" for name, line in _modules())


def _modules() -> Iterator[tuple[str, str]]:
    package = _ROOT / "kexue_bench"
    for path in sorted(package.rglob("*.py")):
        if path.name != "__init__.py" and "templates" not in path.parts:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield path.relative_to(package).as_posix(), (ast.get_docstring(tree) or "").partition("\n")[0]


LISTS: dict[str, tuple[str, Callable[[], str]]] = {
    "docs/glossary.md": ("## Statuses", glossary),
    "docs/architecture.md": ("## Modules", modules),
}
"""Page -> the heading below which the list stands, up to the end of the page, and what makes it."""


def written(page: str) -> str:
    """A page with its list as the code has it now."""
    heading, make = LISTS[page]
    before, _, _ = (_ROOT / page).read_text(encoding="utf-8").partition(f"{heading}\n")
    return f"{before}{heading}\n\n{make()}\n"


if __name__ == "__main__":
    for name in LISTS:
        (_ROOT / name).write_text(written(name), encoding="utf-8")
