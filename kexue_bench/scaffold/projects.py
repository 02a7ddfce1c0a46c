"""A new project: its files, rendered from the templates beside this module."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .._version import __version__
from ..catalog.registry import NAME, Registry
from ..errors import ResultsError, UsageError
from ..files import reason_of
from .models import method_model, python, task_model

What = Literal["method", "family", "task"]
_TEMPLATES = Path(__file__).parent / "templates"
_SUFFIX = ".jinja"


def create(what: What, name: str, to: Path, registry: Registry, *, family: str = "") -> list[Path]:
    """Write a project and return its files.

    Args:
        what: what it registers.
        name: name of the method, family or task, in kebab case; its package has underscores.
        to: folder of the project, which must not exist.
        family: family of a method or a task.

    Raises:
        UsageError: the name cannot be used, the folder exists, or the family is missing or unknown.
        ResultsError: a file cannot be written.
    """
    files = render(what, name, registry, family=family)
    if to.exists():
        raise UsageError("a new project needs a folder that does not exist", got=repr(str(to)), do="write --to DIR")
    try:
        for path, text in files.items():
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            (to / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{str(to)!r} cannot be written", got=reason_of(error)) from error
    return [to / path for path in files]


def render(what: What, name: str, registry: Registry, *, family: str = "") -> dict[str, str]:
    """Path in the project -> text of every file.

    Raises:
        UsageError: as `create`.
    """
    package = name.replace("-", "_")
    _check_name(what, name, package)
    cls = "".join(part.capitalize() for part in package.split("_"))
    context: dict[str, Any] = {"what": what, "name": name, "package": package, "cls": cls, "version": __version__}
    if what == "family":
        if name in registry.families:
            raise UsageError(f"the family {name!r} exists already", do="choose another name")
        context |= {"family": name, "task": "numbers", "baseline": "random-entry"}
    else:
        if not family:
            raise UsageError(f"a new {what} needs --family", do=f"one of {', '.join(registry.families)}")
        spec = registry.family(family)
        known = registry.methods_of(family) if what == "method" else registry.tasks_of(family)
        if name in known or (what == "method" and name in registry.aliases_of(family)):
            raise UsageError(f"the family {family!r} has a {what} {name!r} already", do="choose another name")
        model = method_model(spec, registry) if what == "method" else task_model(spec, registry)
        context |= {
            "family": family,
            "model": model,
            "task": model.task if what == "method" else name,
            "baseline": spec.baseline,
        }
    return {**_rendered("project", context), **_rendered(what, context)}


def _check_name(what: What, name: str, package: str) -> None:
    if not NAME.fullmatch(name) or not package.isidentifier():
        raise UsageError(
            f"the name of a {what} has lower-case letters and digits, with '-' between them, and begins with a letter",
            got=repr(name),
        )
    if importlib.util.find_spec(package) is not None:
        raise UsageError(f"a package named {package!r} is installed already", do="choose another name")


def _rendered(folder: str, context: Mapping[str, Any]) -> dict[str, str]:
    """The files of one folder of templates; `PACKAGE` in a path is the name of the package."""
    root = _TEMPLATES / folder
    jinja = Environment(  # noqa: S701  # Python, TOML and Markdown: nothing is to be escaped for HTML
        loader=FileSystemLoader(root),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals["python"] = python
    return {
        name.removesuffix(_SUFFIX).replace("PACKAGE", context["package"]): jinja.get_template(name).render(context)
        for name in sorted(jinja.list_templates())
    }
