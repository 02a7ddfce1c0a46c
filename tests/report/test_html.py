import re
from html.parser import HTMLParser

import pytest
import stored

from kexue_bench.analysis import comparison as analysis
from kexue_bench.analysis.published import Figure
from kexue_bench.api import Instance, PublishedSpec
from kexue_bench.report.html import render_html

VOID = {"meta", "circle", "line", "br"}


class Page(HTMLParser):
    """Checks that tags are balanced; collects tags, texts and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open[-1] != "style":
            self.texts.append(" ".join(data.split()))


def read(*runs, **options):
    return analysis.read(runs, metrics=stored.METRICS, families=stored.FAMILIES, tasks=stored.TASKS, **options)


def page(tabulation, environment=None, commands=()):
    return render_html(tabulation, environments={"0001": environment or {}}, commands=commands)


@pytest.fixture(scope="module")
def tabulation():
    return read(stored.study())


def test_the_page_is_well_formed_and_holds_every_row(tabulation):
    """Balanced tags; each label of each table, failed ones too, stands in it."""
    found = Page(page(tabulation))
    text = " ".join(found.texts)
    for table in tabulation.tables:
        for row in table.rows:
            assert row.label in text


def test_the_page_fetches_and_runs_nothing(tabulation):
    """No script, no address, no handler: it can be opened offline and mailed."""
    text = page(tabulation)
    found = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert not re.search(r"https?:|@import|url\(", text)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert [value for name, value in found.attributes if name == "href" and not value.startswith("#")] == []


def test_foreign_text_is_shown_and_never_obeyed():
    """Markup in a label, a reason, a fact or a command comes out as text."""
    evil = "<script>alert(1)</script>"
    toy, base = Instance(name="toy", target="x:Y", label=f"toy{evil}"), stored.method("reinforce")
    bad = Instance(name="bad", target="x:Z", label=f'bad"{evil}')
    book = stored.Book(baseline=base)
    book.sampled(toy, base, [1.0, 1.1])
    book.outcome(book.case(toy, bad), status="crashed", reason=evil)
    text = page(read(book.run()), {"cpu": evil}, [evil])
    assert "script" not in Page(text).tags
    assert text.count("&lt;script&gt;") >= 5


def test_every_drawn_effect_lies_on_its_side_of_the_baseline(tabulation):
    """A point left of the dashed line is a ratio below 1, one on its right a ratio above 1; no point leaves the row."""
    text = page(tabulation)
    drawn = re.findall(r'<line class="zero" x1="([\d.]+)".*?(?=</svg>)', text, re.DOTALL)
    assert drawn
    rows = re.findall(
        r'aria-label="[^"]*?×([\d.e-]+)[^"]*">\s*<line class="zero" x1="([\d.]+)"[^>]*>\s*<line class="bar"[^>]*>'
        r'\s*<circle class="dot" cx="([\d.]+)"',
        text,
    )
    assert rows
    for ratio, zero, at in rows:
        assert (float(at) > float(zero)) == (float(ratio) > 1)
        assert 0 <= float(at) <= 220


def test_published_figures_stand_beside_ours():
    """Printed value, ours and the verdict."""
    toy, base = Instance(name="toy", target="x:Y", label="toy"), stored.method("reinforce")
    book = stored.Book(baseline=base)
    book.sampled(toy, base, [1.0] * 40 + [1.01] * 24)
    spec = PublishedSpec(
        name="one", family="gradients", task="toy", method="reinforce", metric="mse", value=1.0, low=0.9, high=1.1,
        source="A. Author, Table 1",
    )  # fmt: skip
    found = Page(page(read(book.run(), published=[Figure(spec=spec, task=toy, method=base)])))
    assert {"reproduced", "A. Author, Table 1", "[0.9, 1.1]"} <= set(found.texts)
