"""A hook of mkdocs: pages that live outside `docs/` join the site, and links to them and from them are put right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PLACES = {
    "README.md": "home.md",
    "README.zh-CN.md": "home.zh-CN.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "examples/compare_estimators.py": "compare_estimators.txt",
    "examples/kexue-quadrature/README.md": "quadrature.md",
}
"""File of the repository -> its name in the site, which is flat."""
LINK = re.compile(r"(?<=\]\()([^)#\s]+\.(?:md|py))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, place in PLACES.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between two pages of the repository become links between their places in the site."""
    here = {place: source for source, place in PLACES.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def moved(match: re.Match[str]) -> str:
        target = (ROOT / here).parent.joinpath(match[1]).resolve()
        if not target.is_relative_to(ROOT):
            return match[1]
        name = target.relative_to(ROOT).as_posix()
        return PLACES.get(name, name.removeprefix("docs/"))

    return LINK.sub(moved, markdown)
