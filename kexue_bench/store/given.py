"""Files of the user's that tasks work on: found and read as they are now, without running any of them.

The desk takes a file once, when a plan is made: relative to the current folder, with the digest of its content. A
worker, whose folder is another, gets the absolute path, after the content was found to be the same.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..api import Given
from ..errors import UnknownNameError
from ..files import open_plain, reason_of, shortened

LARGEST = 1 << 30
"""Bytes of the largest file that is taken."""
_CHUNK = 1 << 20


class NotGivenError(ValueError):
    """A path that names no file that can be taken.

    Args:
        what: what is wrong with the parameter, as the rest of a sentence.
        got: what was found instead.
        do: what to do next.
    """

    def __init__(self, what: str, *, got: str, do: str = "") -> None:
        super().__init__("; ".join(filter(None, (f"it {what}, got {got}", do))))
        self.what, self.got, self.do = what, got, do


def absolute(value: str) -> str:
    """A written path as an absolute one, from the current folder; below `~` in the home folder."""
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        # There is no such user; the file is looked for under the name as written.
        path = Path(value)
    return shortened(str(path.absolute()))


def take(value: str, *, code: bool) -> Given:
    """The file that a written path names, as it is now.

    Args:
        value: a path; of code `file.py:function`.
        code: whether it names a function in a Python file.

    Raises:
        NotGivenError: there is no such file, it cannot be read, is too large or not a plain file; of code: it is not
            Python, or has no such function.
    """
    if not code:
        digest, size = _digest(absolute(value))
        return Given(place=absolute(value), digest=digest, size=size)
    file, colon, function = value.rpartition(":")
    if not colon or not file.endswith(".py") or not function.isidentifier():
        raise NotGivenError("must name a function in a Python file", got=repr(value), do="write file.py:function")
    place = absolute(file)
    names = set(_bound(_tree(place)))
    if function not in names:
        error = UnknownNameError(f"function in {Path(file).name}", function, names)
        raise NotGivenError("must name a function in the file", got=error.got, do=error.do)
    digest, size = _digest_of_code(place)
    return Given(place=f"{place}:{function}", digest=digest, size=size)


def found(given: Given) -> str:
    """The absolute path of a file that was taken, of code with `:function`.

    Raises:
        NotGivenError: the file is gone, or its content is not what it was.
    """
    file, colon, function = given.place.rpartition(":")
    code = bool(colon) and file.endswith(".py")
    place = str(Path(file if code else given.place).expanduser())
    digest, _ = _digest_of_code(place) if code else _digest(place)
    if digest != given.digest:
        raise NotGivenError(
            "must stay as it is while a run works on it",
            got=f"{Path(place).name} with content {digest} in place of {given.digest}",
            do="start the run again",
        )
    return f"{place}:{function}" if code else place


# -- contents ---------------------------------------------------------------------------------------------------------


def _opened(place: str) -> int:
    path = Path(place).expanduser()
    name = repr(path.name)
    if path.is_dir():
        raise NotGivenError("must name a file", got=f"the folder {name}")
    try:
        # The link, if it is one, is the user's own.
        fd = open_plain(Path(os.path.realpath(path)))
    except FileNotFoundError as error:
        do = "a relative path starts from the folder in which the command runs"
        raise NotGivenError("must name a file that exists", got=name, do=do) from error
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise NotGivenError("must name a file that can be read", got=f"{name}: {reason}") from error
    size = os.fstat(fd).st_size
    if size > LARGEST:
        os.close(fd)
        raise NotGivenError(f"must name a file of at most {LARGEST >> 20} MiB", got=f"{name} of {size >> 20} MiB")
    return fd


def _digest(place: str) -> tuple[str, int]:
    """Digest and size of a file's content."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(_opened(place), "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest()[:16], size


def _digest_of_code(place: str) -> tuple[str, int]:
    """Digest and size of a Python file with all that it imports from its own folder."""
    digest, total = hashlib.sha256(), 0
    for name, path in _files(Path(place).expanduser()).items():
        content, size = _digest(str(path))
        digest.update(f"{name} {content}\n".encode())
        total += size
    return digest.hexdigest()[:16], total


def _files(file: Path) -> dict[str, Path]:
    """Path below its folder -> file, for a Python file and those beside it that it imports, directly or indirectly."""
    home, waiting = file.parent, [file]
    found: dict[str, Path] = {}
    while waiting:
        path = waiting.pop()
        name = path.relative_to(home).as_posix()
        if name not in found:
            found[name] = path
            waiting.extend(_beside(path, home))
    return dict(sorted(found.items()))


def _beside(file: Path, home: Path) -> Iterator[Path]:
    """The files below `home` that a Python file imports; one that is not Python imports none."""
    try:
        tree = _tree(str(file))
    except NotGivenError:
        return
    package = file.relative_to(home).parent.parts
    for node in ast.walk(tree):
        modules: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            modules = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = (*base, *filter(None, (node.module or "").split(".")))
            modules = [base, *((*base, alias.name) for alias in node.names)]
        for parts in modules:
            # A package runs before what is in it.
            for end in range(1, len(parts) + 1):
                place = home.joinpath(*parts[:end])
                candidates = (place.with_name(f"{place.name}.py"), place / "__init__.py")
                yield from (path for path in candidates if path.is_file())


def _tree(place: str) -> ast.Module:
    with os.fdopen(_opened(place), "rb") as stream:
        content = stream.read()
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        raise NotGivenError(
            "must name a Python file", got=f"{Path(place).name}, line {line}: {getattr(error, 'msg', error)}"
        ) from error


def _bound(tree: ast.Module) -> Iterator[str]:
    """The names that a file binds at its top level."""
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name for alias in names)
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass
