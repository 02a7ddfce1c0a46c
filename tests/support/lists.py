"""The lists of the documentation that the code determines; run as a script, it writes them into their pages."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import installed

from kexue_bench.api import STATUSES, MethodSpec, MetricSpec
from kexue_bench.catalog.registry import Registry
from kexue_bench.exports import homes

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


def catalogue() -> str:
    """The methods, tasks and claims of the core and of every family."""
    registry = installed.registry()
    lines = ["The core's claims, which methods of every family may make:\n", *_claims(registry, "")]
    for family in registry.families.values():
        lines += [f"\n## {family.title}\n", f"`{family.name}`: {family.summary}\n", "### Methods\n"]
        lines += [f"- `{spec.name}`: {spec.summary}{_made(spec)}" for spec in installed.methods(family.name)]
        lines += ["\n### Tasks\n"]
        lines += [f"- `{spec.name}` ({spec.kind}): {spec.summary}" for spec in installed.tasks(family.name)]
        if claims := _claims(registry, family.name):
            lines += ["\n### Claims\n", *claims]
    return "\n".join(lines).replace("|", "\\|")


def _made(spec: MethodSpec) -> str:
    return f" (claims {', '.join(claim.name for claim in spec.claims)})" if spec.claims else ""


def _claims(registry: Registry, family: str) -> list[str]:
    return [
        f"- `{spec.name}` ({spec.of}{', of every method' if spec.always else ''}): {spec.summary}"
        for spec in registry.claims.values()
        if spec.family == family
    ]


def contracts() -> str:
    """A directive of mkdocstrings for the module of every family's contract."""
    lines = ["What methods are given and what they return, family by family; `mkdocs build` renders them, and"]
    lines += ["`kexue-bench show FAMILY` prints the function that a method implements."]
    for family in installed.registry().families.values():
        lines += [f"\n## {family.title}\n", f"::: {family.contract.partition(':')[0]}"]
    return "\n".join(lines)


PACKAGES = ("kexue_bench", "kexue_bench.lab", "kexue_bench.testing", "kexue_bench.results")
"""What authors and scripts import."""


def interface() -> str:
    """A directive of mkdocstrings for every public name of `PACKAGES`."""
    lines = ["Every public name with its signature and its docstring; `mkdocs build` renders them."]
    for package in PACKAGES:
        module = importlib.import_module(package)
        lines += [f"\n## {package}\n", f"{(module.__doc__ or '').partition(chr(10))[0]}\n"]
        lines += [f"::: {package}.{name}\n" for name in public(package)]
    return "\n".join(lines).strip()


def public(package: str) -> list[str]:
    """The public names of a package: its `__all__`, or the imports that its `__init__.py` defers."""
    module = importlib.import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    return sorted(getattr(module, "__all__", None) or homes(tree, package), key=str.lower)


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
    "docs/catalogue.md": ("## Claims", catalogue),
    "docs/api.md": ("# Interface", interface),
    "docs/contracts.md": ("# Contracts", contracts),
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
