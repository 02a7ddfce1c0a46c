"""given: what a written path names, found without running it."""

import os
import stat
from pathlib import Path

import pytest

from kexue_bench.api import Given
from kexue_bench.store.given import LARGEST, NotGivenError, absolute, found, take


def test_a_relative_path_starts_from_the_current_folder(tmp_path, monkeypatch):
    """The place is absolute, so that another folder changes nothing; the digest is that of `sha256sum`."""
    monkeypatch.chdir(tmp_path)
    Path("K.npy").write_bytes(b"abc")
    given = take("K.npy", code=False)
    assert given == Given(place=str(tmp_path / "K.npy"), digest="ba7816bf8f01cfea", size=3)
    monkeypatch.chdir("/")
    assert found(given) == str(tmp_path / "K.npy")


def test_the_home_folder_is_not_named(tmp_path, monkeypatch):
    """What is stored starts with `~`, which may also be written; the worker gets the whole path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "K.npy").write_bytes(b"abc")
    assert take(str(tmp_path / "K.npy"), code=False) == take("~/K.npy", code=False)
    assert take("~/K.npy", code=False).place == "~/K.npy"
    assert found(take("~/K.npy", code=False)) == str(tmp_path / "K.npy")
    assert absolute("~nobody-of-that-name/x").endswith("~nobody-of-that-name/x")


def test_a_link_of_the_users_is_followed_and_keeps_its_name(tmp_path):
    """The content is that of the target."""
    (tmp_path / "K.npy").write_bytes(b"abc")
    (tmp_path / "link.npy").symlink_to(tmp_path / "K.npy")
    given = take(str(tmp_path / "link.npy"), code=False)
    assert (Path(given.place).name, given.size) == ("link.npy", 3)


def _folder(path):
    path.mkdir()


def _pipe(path):
    os.mkfifo(path)


def _huge(path):
    with path.open("wb") as stream:
        stream.truncate(LARGEST + 1)


def _locked(path):
    path.write_bytes(b"")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")


def _dangling(path):
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "must name a file that exists, got 'K'; a relative path starts"),
        (_dangling, "must name a file that exists"),
        (_folder, "must name a file, got the folder 'K'"),
        (_pipe, "got 'K': it is not a plain file"),
        (_huge, "at most 1024 MiB"),
        (_locked, "got 'K': Permission denied"),
    ],
)
def test_what_is_no_readable_file_is_refused_at_once(tmp_path, make, words):
    """A pipe is not waited for, and nothing is read of what is too large."""
    make(tmp_path / "K")
    with pytest.raises(NotGivenError, match=words):
        take(str(tmp_path / "K"), code=False)


def test_a_path_with_a_null_character_is_refused():
    """The system takes no such name."""
    with pytest.raises(NotGivenError, match="null"):
        take("a\0b", code=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model.py", "write file.py:function"),
        ("model.txt:make", "write file.py:function"),
        ("model.py:ma ke", "write file.py:function"),
        ("model.py:mak", "got 'mak'; did you mean make?"),
        ("gone.py:make", "exists, got 'gone.py'"),
        ("broken.py:make", "must name a Python file, got broken.py, line 2"),
        ("null.py:make", "must name a Python file"),
    ],
)
def test_code_that_cannot_be_meant_is_refused_without_running_it(tmp_path, monkeypatch, text, words):
    """The file would leave a trace if it ran."""
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("open('ran', 'w')\ndef make(): ...\n")
    Path("broken.py").write_text("open('ran', 'w')\ndef make(:\n")
    Path("null.py").write_bytes(b"x = 1\0")
    with pytest.raises(NotGivenError, match=words):
        take(text, code=True)
    assert not Path("ran").exists()


@pytest.mark.parametrize("bound", ["def make(): ...", "class make: ...", "make = print", "make: object = print"])
def test_a_function_may_be_bound_in_any_way(tmp_path, bound):
    """So may one that is imported."""
    (tmp_path / "model.py").write_text(f"{bound}\nfrom os import getcwd as other\n")
    assert take(f"{tmp_path}/model.py:make", code=True).place == f"{tmp_path}/model.py:make"
    assert take(f"{tmp_path}/model.py:other", code=True).size == (tmp_path / "model.py").stat().st_size


FILES = {
    "model.py": "import near\nfrom kit.deep import f\ndef make(): ...\n",
    "near.py": "def g():\n    from . import later\n    import late\n",
    "late.py": "",
    "kit/__init__.py": "",
    "kit/deep.py": "from .inner import h\nfrom os import path\n",
    "kit/inner.py": "h = 1\n",
    "kit/unused.py": "",
    "other.py": "",
}


@pytest.mark.parametrize(
    ("file", "changes"), [(name, name not in {"kit/unused.py", "other.py"}) for name in FILES], ids=list(FILES)
)
def test_the_content_of_code_is_that_of_what_it_imports_beside_it(tmp_path, file, changes):
    """An edit of any imported file is seen, of the others not; where the folder lies does not matter."""
    for folder in (tmp_path / "a", tmp_path / "b"):
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    first, second = (take(f"{tmp_path}/{folder}/model.py:make", code=True) for folder in "ab")
    assert first.digest == second.digest
    (tmp_path / "b" / file).write_text(FILES[file] + "# edited\n")
    assert (take(f"{tmp_path}/b/model.py:make", code=True).digest != first.digest) == changes
    if changes:
        with pytest.raises(NotGivenError, match="must stay as it is"):
            found(second)
    else:
        assert found(second) == f"{tmp_path}/b/model.py:make"


@pytest.mark.parametrize("write", [lambda path: path.write_bytes(b"abd"), Path.unlink])
def test_a_file_that_changes_under_a_run_is_refused(tmp_path, write):
    """The worker compares the content with that of the plan."""
    path = tmp_path / "K"
    path.write_bytes(b"abc")
    given = take(str(path), code=False)
    assert stat.S_ISREG(Path(found(given)).stat().st_mode)
    write(path)
    with pytest.raises(NotGivenError):
        found(given)
