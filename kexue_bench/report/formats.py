"""Every output format, in one table, with the part of a document that it needs; used by the verbs and `save`."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, RenderableType

from ..api import ReporterSpec
from ..errors import PluginError, ResultsError, UsageError, suggestion
from ..files import reason_of, write_atomic
from .console import columns, show
from .export.csv import render_csv
from .export.json import render_json
from .export.latex import render_latex
from .export.markdown import render_markdown
from .export.parquet import render_parquet

Need = Literal["view", "rows", "page", "tabulation"]
"""Parts of a document: what a terminal shows, flat rows, a page, or a comparison's tabulation."""
ROWS: frozenset[Need] = frozenset({"rows"})
"""Parts of a frame of measurements."""
CHECKED: frozenset[Need] = frozenset({"view", "rows"})
"""Parts of the result of `doctor`."""
VERIFIED: frozenset[Need] = frozenset({"view", "rows", "page"})
"""Parts of a verification."""
COMPARED: frozenset[Need] = frozenset({"view", "rows", "page", "tabulation"})
"""Parts of a comparison."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """Content that can be written.

    Args:
        parts: its parts, each made on demand: a renderable of rich (`view`), flat rows or a frame (`rows`), a whole
            HTML page as text (`page`), a `Tabulation` for reporters of plugins.
        runs: names of the runs that it comes from.
        head: further entries of the JSON document, besides its rows.
    """

    parts: Mapping[Need, Callable[[], Any]]
    runs: Sequence[str] = ()
    head: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Format:
    """One way to write a document.

    Args:
        name: what `--format` takes.
        need: the part of a document that it needs.
        render: (part, document) -> text, or bytes for a binary format; None if a terminal lays it out.
        suffix: suffix of its files; empty for a reporter of a plugin.
    """

    name: str
    need: Need
    render: Callable[[Any, Document], str | bytes] | None = None
    suffix: str = ""
    binary: bool = False

    def of(self, document: Document) -> str | bytes:
        """The document in this format; for a terminal of the current width, without colors."""
        part = document.parts[self.need]()
        return self.render(part, document) if self.render is not None else _laid_out(part)


FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format(name="table", need="view", suffix=".txt"),
        Format(
            name="json",
            need="rows",
            suffix=".json",
            render=lambda rows, document: render_json(rows, run=document.runs, head=document.head),
        ),
        Format(name="csv", need="rows", suffix=".csv", render=lambda rows, _: render_csv(rows)),
        Format(name="md", need="rows", suffix=".md", render=lambda rows, _: render_markdown(rows)),
        Format(name="latex", need="rows", suffix=".tex", render=lambda rows, _: render_latex(rows)),
        Format(name="html", need="page", suffix=".html", render=lambda page, _: page),
        Format(
            name="parquet", need="rows", suffix=".parquet", binary=True, render=lambda rows, _: render_parquet(rows)
        ),
    )
}
"""The formats of the core, by name."""


def fitting(has: Collection[Need], reporters: Mapping[str, ReporterSpec] | None = None) -> dict[str, Format]:
    """The formats in which a document with these parts can be written; a plugin cannot replace one of the core's."""
    own = {name: _reporter(spec) for name, spec in (reporters or {}).items()}
    return {name: form for name, form in {**own, **FORMATS}.items() if form.need in has}


def choose(
    name: str, has: Collection[Need], reporters: Mapping[str, ReporterSpec] | None = None, *, to: Path | None = None
) -> Format:
    """The format of that name; checked before anything is run.

    Args:
        to: the file to write; None for standard output.

    Raises:
        UsageError: there is no such format, the document lacks the part that it needs, or it needs a file.
    """
    known = fitting(has, reporters)
    if name not in known:
        raise UsageError(f"--format must be one of {', '.join(known)}", got=repr(name), do=suggestion(name, known))
    if known[name].binary and to is None:
        raise UsageError(f"{name} is a binary format", do=f"add --to FILE{known[name].suffix}")
    return known[name]


def by_suffix(path: Path, has: Collection[Need]) -> Format:
    """The format of a file by its suffix.

    Raises:
        UsageError: no fitting format has it.
    """
    known = {form.suffix: form for form in fitting(has).values()}
    found = known.get(path.suffix.lower())
    if found is None:
        raise UsageError(
            "save needs a file whose suffix names the format", got=repr(str(path)), do=f"use one of {', '.join(known)}"
        )
    return found


def write(document: Document, form: Format, to: Path | None = None, *, paged: bool = False) -> None:
    """Write a document to a file, atomically, or to standard output.

    Args:
        paged: use a pager for a view that is longer than the terminal.

    Raises:
        ResultsError: the file cannot be written.
    """
    if to is not None:
        content = form.of(document)
        try:
            write_atomic(to, content if isinstance(content, bytes) else content.encode("utf-8"))
        except OSError as error:
            raise ResultsError(f"{str(to)!r} cannot be written", got=reason_of(error)) from error
    elif form.render is None:
        show(document.parts[form.need](), paged=paged)
    else:
        sys.stdout.write(str(form.of(document)))


def _laid_out(view: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=columns(), color_system=None, force_jupyter=False).print(view, crop=False)
    return out.getvalue()


def _reporter(spec: ReporterSpec) -> Format:
    """A plugin's format; its module is imported on use."""

    def render(tabulation: object, _document: Document) -> str:
        module, _, function = spec.target.partition(":")
        try:
            target = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise PluginError(f"the reporter {spec.name!r} cannot be loaded: {error}") from error
        out = io.StringIO()
        target(tabulation, out)
        return out.getvalue()

    return Format(name=spec.name, need="tabulation", render=render)
