"""`report`: stored runs read again, under the reader's own rule."""

from __future__ import annotations

import json

from toys import FAST, HERE, TOY


def test_stored_runs_are_read_again(cli):
    """`report`, `compare latest` and `export` read what `run` stored."""
    cli("run", *TOY[1:6], *FAST, *HERE, "-m", "rloo")
    reported = cli("report", "--format", "json")
    compared = cli("compare", "latest", "--format", "json")
    exported = cli("export", "latest", "--format", "json")
    assert reported.rows == compared.rows
    assert len(json.loads(exported.out)["rows"] if exported.out.startswith("{") else json.loads(exported.out)) == len(
        reported.rows
    )


def test_margin_level_and_correction_are_the_readers_choice(cli):
    """A stored run is read again under another rule: the legend names it, and without a correction p stays p."""
    cli("run", *TOY[1:6], *FAST, *HERE, "-m", "rloo", "-m", "disarm", "-m", "reinforce")
    text = " ".join(cli("report", "--margin", "10%", "--alpha", "1%", "--correction", "bh").out.split())
    assert "Benjamini-Hochberg, alpha 1 %, margin 10 %" in text
    raw = [row for row in cli("report", "--format", "json", "--correction", "none").rows if row["p"] is not None]
    corrected = [row for row in cli("report", "--format", "json").rows if row["p"] is not None]
    assert [row["p"] for row in raw] == [row["p_adjusted"] for row in raw] == [row["p"] for row in corrected]
    assert [row["p"] for row in corrected] != [row["p_adjusted"] for row in corrected]


def test_a_page_lies_in_the_folder_of_the_run(cli, tmp_path):
    """`--html` prints where; the page names the methods."""
    cli("run", *TOY[1:6], *FAST, *HERE, "-m", "rloo")
    result = cli("report", "--html")
    assert result.code == 0
    page = tmp_path / result.out.strip()
    assert page.parent.parent == tmp_path / "results"
    assert "rloo" in page.read_text(encoding="utf-8")
