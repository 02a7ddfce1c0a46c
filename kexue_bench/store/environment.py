"""Where a run was made, and what code made an outcome; imports neither torch nor a plugin's target.

`capture` is provenance for readers. `fingerprint` is the hash by which a resume finds cases that must run again: it
changes with the sources of a case's task and method, with the numerical libraries and with the machine. What a worker
loaded besides is in `sources`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from ..api import Case
from ..exports import absolute, dotted
from ..modules import find

# Increased by hand whenever `kexue_bench.lab` may return a different number for the same case.
LAB_VERSION = 1

PACKAGES = (
    "kexue-bench",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "pluggy",
    "pebble",
    "rich",
    "ray",
)
NUMERICAL = ("torch", "numpy", "scipy")
DISPATCH_VARIABLES = (
    *("OMP_PROC_BIND", "OMP_SCHEDULE", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_DETERMINISTIC_REDUCTION"),
    *("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "NPY_DISABLE_CPU_FEATURES"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
)
"""Variables by which native libraries choose an implementation, and so the last bits of a result."""
THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_DYNAMIC", "MKL_NUM_THREADS", "MKL_DYNAMIC", "OPENBLAS_NUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", *DISPATCH_VARIABLES),
)
"""Variables that a reader should know of. Workers get fixed values for those that are not `DISPATCH_VARIABLES`."""


# -- provenance -------------------------------------------------------------------------------------------------------


def capture(folder: Path | None = None) -> Mapping[str, object]:
    """What a reader must know about this machine and its software, as plain data.

    It names no user, host or path. `memory` is in bytes; `packages` holds the versions of installed packages; `git` is
    the commit of the repository at `folder` (by default the current one) and whether tracked files differ from it, and
    is empty outside repositories; `threads` holds the variables that control how libraries use the cores.
    """
    return {
        "machine": platform.machine(),
        "cpu": cpu_model(),
        "cores": _cores(),
        "memory": _memory(),
        "os": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: version for name in PACKAGES if (version := package_version(name))},
        "git": _git(folder or Path.cwd()),
        "threads": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
    }


@cache
def cpu_model() -> str:
    """The name of the processor as the system reports it; empty if unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() in ("model name", "cpu model", "hardware"):
            return value.strip()
    if sys.platform == "darwin":
        return _output(["sysctl", "-n", "machdep.cpu.brand_string"], Path("/"))
    return platform.processor()


def _cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def package_version(name: str) -> str:
    """Version of an installed distribution; empty if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git(folder: Path) -> dict[str, object]:
    commit = _output(["git", "rev-parse", "HEAD"], folder)
    if not commit:
        return {}
    changes = _output(["git", "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no"], folder)
    return {"commit": commit, "dirty": bool(changes)}


def _output(command: list[str], folder: Path) -> str:
    """Output of a short command; empty if it is missing, fails or takes longer than 10 s."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


# -- fingerprints -----------------------------------------------------------------------------------------------------


def fingerprint(case: Case) -> str:
    """16 hex digits over everything that the numbers of a case depend on, except the identity of the case.

    They cover the source files of the modules of the task, the method and the readings, of the modules in the same
    package that these import (statically, transitively), `LAB_VERSION`, the versions of torch, numpy and scipy, the
    processor, and the variables by which native libraries choose code for it. Files are found without importing
    anything. A module without a file counts as `missing`. The contents of the user's files count as they were when the
    instances were made.
    """
    return fingerprints((case,))[case.key]


def fingerprints(cases: Iterable[Case]) -> Mapping[str, str]:
    """Key -> fingerprint for many cases; each source file is read once."""
    sources: dict[str, str] = {}
    closures: dict[str, str] = {}
    ground = [
        f"lab {LAB_VERSION}",
        *(f"{name} {package_version(name)}" for name in NUMERICAL),
        platform.machine(),
        cpu_model(),
        *(f"{name}={os.environ[name]}" for name in DISPATCH_VARIABLES if name in os.environ),
    ]
    out: dict[str, str] = {}
    for case in cases:
        parts = list(ground)
        readings = json.loads(str(case.options.get("readings", "{}")))
        for target in (case.task.target, case.method.target, *readings.values()):
            module = target.partition(":")[0]
            if module not in closures:
                closures[module] = _closure_digest(module, sources)
            parts.append(closures[module])
        parts += [
            f"{name} {file.digest} {file.size}"
            for instance in (case.task, case.method)
            for name, file in sorted(instance.files.items())
        ]
        out[case.key] = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return out


def module_files(module: str) -> Mapping[str, Path]:
    """`module` and every module of its top-level package that it imports, directly or indirectly -> source file.

    Imports are read from the syntax tree, those inside functions and conditions included; the `__init__` of a package
    counts only if a name is taken from it. Modules without a file are left out.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        spec = find(name)
        if spec is None or not spec.origin or not Path(spec.origin).is_file():
            continue
        found[name] = Path(spec.origin)
        if spec.origin.endswith(".py"):
            package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
            waiting.extend(_imports(found[name], package, name.partition(".")[0]))
    return dict(sorted(found.items()))


def _closure_digest(module: str, sources: dict[str, str]) -> str:
    digest = hashlib.sha256(module.encode())
    files = module_files(module)
    for name, path in files.items():
        if name not in sources:
            sources[name] = hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        digest.update(f"\n{name} {sources[name]}".encode())
    return digest.hexdigest() if files else f"{module} missing"


def _imports(file: Path, package: str, top: str) -> Iterator[str]:
    """Names of modules below `top` that the source imports; a name taken from a package may be one of its modules."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == top)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(dotted(node), package)
            if base.partition(".")[0] != top:
                continue
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield module if find(module) is not None else base
