"""Print the machine and the versions, as recorded in every run."""

from __future__ import annotations

import argparse
import json

from ..store.environment import capture
from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `env`."""
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Print the facts as JSON."""
    print(json.dumps(capture(), indent=2, default=str))
    return 0
