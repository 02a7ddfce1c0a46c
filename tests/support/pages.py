"""Parsers that tests read pages, fragments and drawings with."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

VOID = {"meta", "circle", "line", "br"}


class Page(HTMLParser):
    """Checks that tags are balanced; collects tags, texts and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that must be closed."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """The innermost open tag is closed."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text that is shown."""
        if data.strip() and self.open[-1] != "style":
            self.texts.append(" ".join(data.split()))


def words(path: Path) -> list[str]:
    """Every text of an SVG, which must be valid XML."""
    root = ET.parse(path).getroot()
    assert not root.findall(".//{http://www.w3.org/2000/svg}script")
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
