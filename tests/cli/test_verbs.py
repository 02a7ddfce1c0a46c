"""The verbs of the core."""

from __future__ import annotations

import argparse
import importlib

import pytest

from kexue_bench.cli.verbs import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_a_module_that_says_what_it_does(verb):
    """Of its own name, with a description, and options that all have a line of help."""
    module = importlib.import_module(f"kexue_bench.cli.{verb}")
    parser = argparse.ArgumentParser(description=module.__doc__)
    module.configure(parser)
    assert callable(module.execute)
    assert module.__doc__
    silent = [action.dest for action in parser._actions if not action.help]
    assert silent == []
    assert "--plugin NAME" in parser.format_help() or verb == "doctor"
