"""options: what is wrong with a plugin is said at once, and a metric is meant in the tables that are named."""

import argparse

import pytest

from kexue_bench.cli import options


@pytest.mark.parametrize(
    "command", [("list", "methods"), ("show", "rloo"), ("run", "gradients", "-n", "--isolation", "none")]
)
def test_every_verb_that_loads_plugins_says_what_is_wrong_with_them(cli, odd, command):
    """On the standard error, with what was meant; the verb goes on."""
    result = cli(*command, "-p", odd)
    assert result.code == 0
    assert result.err.startswith(
        "kexue-bench: plugin odd: method 'm': its family 'gradient' is not registered; did you mean gradients"
    )
    assert "is not registered" not in result.out


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4 * 10**9), ("1.5g", 15 * 10**8), ("2GiB", 2 << 30), ("500 MB", 5 * 10**8), ("12", 12)]
)
def test_memory_is_written_as_people_write_it(text, size):
    """Decimal and binary units, any case, with or without the B."""
    assert options.size(text) == size


@pytest.mark.parametrize("text", ["", "0", "GB", "-1GB", "4 parsecs", "1e9", "nan"])
def test_no_memory_is_refused(text):
    """With a sentence that says how to write it."""
    with pytest.raises(argparse.ArgumentTypeError, match="write 4GB or 500MB"):
        options.size(text)
