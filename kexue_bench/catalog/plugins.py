"""Find, load and record plugins, so that a broken one affects only itself.

Every plugin has a separate pluggy manager: an import error, a misspelled hook or a bad return value is recorded in its
`PluginRecord`. Only `plugin.py` modules are imported here; the targets that their specs name are imported in workers.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Literal, TypeVar, cast

import pluggy

from .. import api, settings
from ..errors import PluginError, UsageError, suggestion
from . import hookspecs

REGISTRATION: dict[str, type] = {
    "kexue_families": api.FamilySpec,
    "kexue_methods": api.MethodSpec,
    "kexue_tasks": api.TaskSpec,
    "kexue_metrics": api.MetricSpec,
    "kexue_claims": api.ClaimSpec,
    "kexue_readings": api.ReadingSpec,
    "kexue_published": api.PublishedSpec,
    "kexue_reporters": api.ReporterSpec,
    "kexue_commands": api.CommandSpec,
}
"""Hook -> what it returns; `kexue_specs` returns any of them."""

Spec = TypeVar("Spec")
PluginStatus = Literal["ok", "blocked", "broken"]


@dataclass(frozen=True, kw_only=True)
class PluginRecord:
    """One plugin and the result of loading it.

    Args:
        name: entry-point name, or the module for `-p`.
        origin: `module` it was loaded from.
        distribution: `name version` of the distribution; empty for `-p`.
        status: `ok`, `blocked` (by `-p no:NAME`) or `broken`.
        reason: why its status is not `ok`.
        specs: kind of spec -> what the plugin registered.
        manager: the plugin's own hook manager; None unless `ok`.
        load: what a worker imports so that targets of this plugin resolve.
        changed: settings of the process that loading it changed, which were put back.
    """

    name: str
    origin: str
    distribution: str = ""
    status: PluginStatus = "ok"
    reason: str = ""
    specs: Mapping[type, tuple[object, ...]] = field(default_factory=dict)
    manager: pluggy.PluginManager | None = None
    load: str = ""
    changed: tuple[str, ...] = ()

    def of(self, kind: type[Spec]) -> tuple[Spec, ...]:
        """What the plugin registered of one kind."""
        return cast("tuple[Spec, ...]", self.specs.get(kind, ()))


def load_plugins(extra: Sequence[str] = ()) -> tuple[PluginRecord, ...]:
    """Load every installed plugin and those named by `-p`.

    Args:
        extra: values of `-p`: a module or a `.py` file to load, or `no:NAME` to block an installed plugin.

    Raises:
        UsageError: `no:NAME` names no installed plugin.
        PluginError: a plugin that was asked for by `-p` cannot be loaded.
    """
    blocked = [value.removeprefix("no:") for value in extra if value.startswith("no:")]
    wanted = [value for value in extra if not value.startswith("no:")]
    records: list[PluginRecord] = []
    for point in _entry_points():
        distribution = f"{point.dist.name} {point.dist.version}" if point.dist else ""
        module = point.value.partition(":")[0].strip()
        known = PluginRecord(name=point.name, origin=point.value, distribution=distribution, load=module)
        if point.name in blocked:
            records.append(replace(known, status="blocked", reason=f"blocked by -p no:{point.name}"))
        elif any(record.name == point.name for record in records):
            records.append(replace(known, status="broken", reason=f"a plugin named {point.name!r} exists already"))
        elif not all(part.isidentifier() for part in module.split(".")):
            records.append(replace(known, status="broken", reason=f"its entry point names no module: {point.value!r}"))
        else:
            records.append(_load(point.load, known))
    if unknown := set(blocked) - {record.name for record in records}:
        raise UsageError(
            "-p no:NAME needs the name of an installed plugin",
            got=repr(min(unknown)),
            do=f"installed: {', '.join(record.name for record in records) or 'none'}",
        )
    for value in dict.fromkeys(wanted):
        known = PluginRecord(name=Path(value).stem, origin=value, load=value)
        record = _load(partial(import_module_or_file, value), known)
        if record.status == "broken":
            raise PluginError(f"the plugin {value!r} of -p cannot be loaded: {record.reason}")
        records.append(record)
    return tuple(records)


def import_module_or_file(name: str) -> ModuleType:
    """Import a module by its dotted name, or a single `.py` file under the name of its stem.

    Desk and workers load `-p` plugins with this function, so that a target `my_plugin:Half` means the same to both.
    """
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    if not path.is_file():
        raise ModuleNotFoundError(f"no file {name}")
    loaded = sys.modules.get(path.stem)
    if loaded is not None:
        if Path(getattr(loaded, "__file__", None) or "").resolve() == path:
            return loaded
        raise ImportError(f"a module named {path.stem!r} is loaded already; rename the file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
    return sorted(dict.fromkeys(points), key=lambda point: (point.name, point.value))


def _load(importer: Callable[[], object], known: PluginRecord) -> PluginRecord:
    """Import a plugin, check its hooks, collect what it registers, and put back what it changed meanwhile."""
    # A plugin may need another folder on the path to find its parts, and no thread can be ended.
    before = {name: value for name, value in settings.snapshot().items() if name not in {"sys.path", settings.THREADS}}
    return replace(_collected(importer, known), changed=settings.restore(before))


def _collected(importer: Callable[[], object], known: PluginRecord) -> PluginRecord:

    def broken(reason: str) -> PluginRecord:
        return replace(known, status="broken", reason=reason)

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        with _guarded():
            module = importer()
            manager.register(module, name=known.name)
            manager.check_pending()
    except _ForeignError as error:
        return broken(error.reason)
    if fault := _unhooked(module, manager):
        return broken(fault)
    specs: dict[type, list[object]] = {kind: [] for kind in REGISTRATION.values()}
    for hook, kinds in {"kexue_specs": tuple(specs), **{hook: (kind,) for hook, kind in REGISTRATION.items()}}.items():
        try:
            with _guarded():
                returned = [spec for part in getattr(manager.hook, hook)() for spec in part]
        except _ForeignError as error:
            return broken(f"{hook} failed: {error.reason}")
        for spec in returned:
            if not isinstance(spec, kinds):
                expected = kinds[0].__name__ if len(kinds) == 1 else "specs"
                return broken(f"{hook} must return a sequence of {expected}, got {type(spec).__name__}")
            specs[next(kind for kind in kinds if isinstance(spec, kind))].append(spec)
    return replace(known, specs={kind: tuple(found) for kind, found in specs.items()}, manager=manager)


def _unhooked(module: object, manager: pluggy.PluginManager) -> str:
    """What keeps hooks from being called: a missing decorator, or no hook at all; empty if nothing does."""
    known = {name for name in vars(hookspecs) if name.startswith("kexue_")}
    marked = {caller.name for caller in manager.get_hookcallers(module) or ()}
    plain = sorted(name for name in known - marked if callable(getattr(module, name, None)))
    if plain:
        return f"{plain[0]} is not a hook yet: write @kexue_bench.hookimpl above it"
    return (
        "" if marked else f"it implements no hook; write @kexue_bench.hookimpl above one of {', '.join(sorted(known))}"
    )


class _ForeignError(Exception):
    """Whatever third-party code raised, with one line on it."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.reason = _reason(error)


@contextmanager
def _guarded() -> Iterator[None]:
    """Turn whatever third-party code raises, `sys.exit` and its own `KeyboardInterrupt` included, into an error.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C, which only a signal can tell from a `raise` in the plugin.
    """
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.default_int_handler(number, frame)

    # Another handler is left alone, and only the main thread may set one.
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if ours:
            signal.signal(signal.SIGINT, press)
        yield
    # None of it may end the program.
    except BaseException as error:
        if pressed:
            raise
        raise _ForeignError(error) from error
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _reason(error: BaseException) -> str:
    """One line on what happened, in terms that a plugin's author understands."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, pluggy.PluginValidationError):
        if "unknown hook" in text:
            written = text.partition("unknown hook '")[2].partition("'")[0]
            found = suggestion(written, [name for name in vars(hookspecs) if name.startswith("kexue_")])
            return f"misspelled hook: {text}" + (f"; {found}" if found else "")
        return f"wrong signature: {text}"
    if isinstance(error, ImportError):
        return f"import error: {text}"
    if isinstance(error, PluginError):
        return text
    if isinstance(error, SystemExit):
        return f"import error: it called sys.exit({text})"
    if isinstance(error, KeyboardInterrupt):
        return "import error: it raised KeyboardInterrupt"
    return f"{type(error).__name__}: {text}"


class Hooks:
    """Calls a hook in every loaded plugin; an error in one plugin is collected, and only its answer is missing."""

    def __init__(self, records: Iterable[PluginRecord]) -> None:
        self._records = [record for record in records if record.manager is not None]
        self.errors: list[str] = []

    def call(self, hook: str, **arguments: object) -> list[tuple[str, object]]:
        """The answers as (plugin name, answer); plugins without the hook have none."""
        answers: list[tuple[str, object]] = []
        for record in self._records:
            caller = getattr(record.manager.hook, hook)  # pyright: ignore[reportOptionalMemberAccess]  # filtered above
            if not caller.get_hookimpls():
                continue
            try:
                with _guarded():
                    answer = caller(**arguments)
            except _ForeignError as error:
                self.errors.append(f"plugin {record.name}: {hook} failed: {error.reason}")
                continue
            answers.append((record.name, answer))
        return answers
