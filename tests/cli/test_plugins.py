"""`plugins`: what each registered, where it comes from, and why a broken one is broken."""

from __future__ import annotations

from kexue_bench.catalog.plugins import PluginRecord, load_plugins
from kexue_bench.cli import plugins


def row_of(out, name):
    """The words of a plugin's row, a folded one joined."""
    lines = out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(f"{name} "))
    more = next((i for i, line in enumerate(lines[first + 1 :], first + 1) if line[:1].strip()), len(lines))
    return " ".join(" ".join(lines[first:more]).split())


def test_each_plugin_is_a_row_with_what_it_registers(cli, monkeypatch):
    """Installed ones with their distribution, and how much of each kind."""
    monkeypatch.setenv("COLUMNS", "250")
    row = row_of(cli("plugins").out, "gradients")
    assert row.startswith("gradients ok kexue_gradients.plugin")
    assert "(kexue-bench" in row


def test_a_broken_plugin_is_a_row_with_its_reason_and_no_error(cli, monkeypatch):
    """This verb is for broken plugins: it succeeds, the others stand beside it, and a reason cannot act."""
    monkeypatch.setenv("COLUMNS", "250")
    rotten = PluginRecord(name="rotten", origin="rotten", status="broken", reason="RuntimeError: \x1b[31mon purpose")
    monkeypatch.setattr(plugins, "load_plugins", lambda named: [*load_plugins(named), rotten])
    result = cli("plugins")
    assert result.code == 0
    assert row_of(result.out, "rotten").startswith("rotten broken rotten RuntimeError: ")
    assert "\x1b" not in result.out
    assert " ok " in row_of(result.out, "logdet")


def test_a_plugin_of_which_a_part_is_refused_says_which(cli, odd, monkeypatch):
    """Its families count, its method of an unknown family is named."""
    monkeypatch.setenv("COLUMNS", "250")
    row = row_of(cli("plugins", "-p", odd).out, "odd")
    assert row.startswith("odd partly")
    assert "2 families" in row
    assert "method 'm': its family 'gradient' is not registered" in row


def test_a_blocked_plugin_is_not_loaded(cli):
    """`-p no:NAME` leaves the others."""
    out = cli("plugins", "-p", "no:gradients").out
    assert "blocked" in out
    assert "rloo" not in cli("list", "methods", "-p", "no:gradients").out


def test_a_target_that_cannot_be_read_is_named(cli, monkeypatch, tmp_path):
    """Without importing it; the plugin's other methods are as good as before."""
    monkeypatch.setenv("COLUMNS", "250")
    (tmp_path / "ghostly.py").write_text(
        "from kexue_bench import MethodSpec, hookimpl\n@hookimpl\ndef kexue_methods():\n    return [\n"
        "        MethodSpec(name='ghost', family='gradients', target='nowhere.at:All', summary='s'),\n"
        "        MethodSpec(name='there', family='gradients', summary='s',\n"
        "                   target='kexue_gradients.methods.rloo:Rloo')]\n"
    )
    row = row_of(cli("plugins", "-p", str(tmp_path / "ghostly.py")).out, "ghostly")
    assert "partly" in row
    assert "method 'ghost': the module 'nowhere.at' cannot be found" in row
    assert "'there'" not in row
