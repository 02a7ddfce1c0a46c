"""The documentation builds without a warning, its links lead somewhere, and its commands can be parsed."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from lists import PACKAGES, public

from kexue_bench.cli.verbs import VERBS
from kexue_bench.testing import check_package, complain

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*/*.md")])
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub and mkdocs make them."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page):
    """Files exist, and the anchors of pages too; addresses of other sites are not followed."""
    lost = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            lost.append(link)
    assert lost == []


def test_the_navigation_has_every_page():
    """Pages of `docs/` and those that join them, each once; a site with a page outside of it does not build."""
    listed = re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    joined = re.findall(r'": "(\S+\.md)"', (ROOT / "docs" / "outside.py").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted([*joined, *(page.name for page in (ROOT / "docs").glob("*.md"))])


def _commands(page: Path) -> list[str]:
    """The lines of code blocks that call kexue-bench, without placeholders in capitals."""
    blocks = "".join(FENCE.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = re.findall(r"^(?:\$ )?kexue-bench (.*)$", blocks, re.MULTILINE)
    return [line for line in lines if not re.search(r"\b[A-Z]{3,}\b|\.\.\.|\|", line)]


@pytest.mark.parametrize("page", [page for page in PAGES if _commands(page)], ids=_name)
def test_commands_can_be_parsed(page):
    """Their verbs exist and take their options; a verb that the page itself adds is left to its own test."""
    own = re.findall(r'CommandSpec\(name="(\S+?)"', page.read_text(encoding="utf-8"))
    for line in _commands(page):
        verb, *words = shlex.split(line, comments=True)
        if verb in own:
            continue
        assert verb in VERBS, line
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(f"kexue_bench.cli.{verb}").configure(parser)
        parser.parse_args(words)


@pytest.mark.parametrize("page", ["README", "docs/tutorial"])
def test_a_translation_has_the_same_commands(page):
    """Commands, files and the commands in the text, in the same order; their explanations are Chinese."""
    english, chinese = ((ROOT / f"{page}{ending}").read_text(encoding="utf-8") for ending in (".md", ".zh-CN.md"))
    assert _typed(chinese) == _typed(english)
    # Every section has a title of its own, and each is Chinese.
    heads = [re.findall(r"^## (.*)$", text, re.MULTILINE) for text in (english, chinese)]
    assert len(heads[0]) == len(heads[1])
    assert all(re.search(r"[\u4e00-\u9fff]", head) for head in heads[1])


def _typed(text: str) -> list[str]:
    """What a page tells its reader to type: commands in blocks and in the text, and the content of files."""
    lines = re.findall(r"^(?:\$ )?((?:kexue-bench|python3|pip|pytest) .*)$", text, re.MULTILINE)
    inside = re.findall(r"`((?:kexue-bench|pytest|mkdocs) [^`\n]+)`", text)
    files = re.findall(r"^```(?:python|toml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [*lines, *inside, *files]


def test_the_template_of_a_docstring_is_a_method_that_conforms(tmp_path):
    """The file in CONTRIBUTING has nothing to change."""
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    plugin = tmp_path / "shrunk.py"
    plugin.write_text(source, encoding="utf-8")
    found = check_package("shrunk", plugins=str(plugin), measured=False)
    complain(found)
    assert {"docstring", "knobs", "cost", "contract", "frozen"} <= {finding.check for finding in found}


def test_the_site_builds_without_a_warning(tmp_path):
    """Every page is in the navigation, every link and anchor has a target, every public name has a docstring there."""
    pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed")
    command = (sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site"))
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    names = {f"{package}.{name}" for package in PACKAGES for name in public(package)}
    assert names <= set(re.findall(r'id="([\w.]+)"', page))
