"""Benchmarks run in the environment that workers get: allocator and threads are settled before Python starts."""

from __future__ import annotations

import os
import sys

from kexue_bench.run.engines.server import environment


def pytest_configure(config):
    """Start pytest again where the environment differs; what is measured otherwise is not what users get."""
    wanted = environment(1)
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    arguments = [sys.executable, "-m", "pytest", *config.invocation_params.args]
    os.execve(sys.executable, arguments, {**os.environ, **wanted})
