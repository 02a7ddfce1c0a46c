import re

import stored
from pages import Page
from stored import read

from kexue_bench.analysis.published import Figure
from kexue_bench.api import Instance, PublishedSpec
from kexue_bench.report.html import render_fragment, render_html


def page(tabulation, environment=None, commands=()):
    return render_html(tabulation, environments={"0001": environment or {}}, commands=commands)


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
        name="one", family="gradients", kind="number", task="toy", method="reinforce", metric="mse", value=1.0, low=0.9,
        high=1.1, source="A. Author, Table 1",
    )  # fmt: skip
    found = Page(page(read(book.run(), published=[Figure(spec=spec, task=toy, method=base)])))
    assert {"reproduced", "A. Author, Table 1", "[0.9, 1.1]", "number"} <= set(found.texts)
    assert "reproduced: numbers 1 of 1" in found.texts


def test_a_fragment_is_one_balanced_element_that_can_stand_beside_others(tabulation):
    """One `div` with every row of the page; no id, link, script or rule that reaches outside of it."""
    text = render_fragment(tabulation)
    found = Page(text)
    assert text.startswith('<div class="kexue-bench">')
    assert found.tags[0] == "div"
    assert text.rstrip().endswith("</div>")
    assert not {"script", "link", "meta", "html", "body", "a"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name in {"id", "href"} or name.startswith("on")]
    shown = " ".join(found.texts)
    for table in tabulation.tables:
        for row in table.rows:
            assert row.label in shown
    style = text[text.index("<style>") + 7 : text.index("</style>")].strip()
    assert style.startswith(".kexue-bench {")
    assert style.endswith("}")
    depths = [style[:i].count("{") - style[:i].count("}") for i in range(len(".kexue-bench {"), len(style))]
    assert min(depths) == 1


def test_facts_of_the_machine_are_words(tabulation):
    """Nested facts on one line, memory in bytes as people read them, and no line for what is unknown."""
    facts = {"memory": 16_000_000_000, "git": {"commit": "abc", "clean": True}, "cpu": "", "cores": 2}
    found = Page(page(tabulation, facts))
    assert {"16 GB", "commit abc, clean True", "2"} <= set(found.texts)
    assert "cpu" not in found.texts
