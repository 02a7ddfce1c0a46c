"""matrices: what a file holds is read without running it, and its values are those of other routes."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import io, sparse

from kexue_logdet.matrices import DENSE, SPARSE, read


def kernel(n=30):
    x = np.random.default_rng(0).normal(size=(n, 3))
    return np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 6) + 0.1 * np.eye(n)


def chain(n=40):
    """Tridiagonal: 2.5 on the diagonal and -1 beside it."""
    return sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsc()


WRITERS = {
    "K.npy": lambda path: np.save(path, kernel()),
    "K.npz": lambda path: np.savez_compressed(path, anything=kernel()),
    "K.pt": lambda path: torch.save(torch.from_numpy(kernel()), path),
    "named.pt": lambda path: torch.save({"weight": torch.from_numpy(kernel())}, path),
    "K.mtx": lambda path: io.mmwrite(path, kernel()),
    "fortran.npy": lambda path: np.save(path, np.asfortranarray(kernel())),
    "big-endian.npy": lambda path: np.save(path, kernel().astype(">f8")),
    "view.pt": lambda path: torch.save(torch.from_numpy(kernel()).mT, path),
}
SPARSE_WRITERS = {
    "A.npz": lambda path: sparse.save_npz(path, chain()),
    "A.mtx": lambda path: io.mmwrite(path, chain()),
    "symmetric.mtx": lambda path: io.mmwrite(path, chain(), symmetry="symmetric"),
    "A.pt": lambda path: torch.save(torch.from_numpy(chain().toarray()).to_sparse_csr(), path),
    "coo.pt": lambda path: torch.save(torch.from_numpy(chain().toarray()).to_sparse(), path),
}


@pytest.mark.parametrize("name", [*WRITERS, *SPARSE_WRITERS])
def test_every_format_holds_the_same_matrix(tmp_path, name):
    """The values agree with numpy's determinant and inverse, which factor without symmetry; products with the array."""
    (WRITERS | SPARSE_WRITERS)[name](tmp_path / name)
    expected = kernel() if name in WRITERS else chain().toarray()
    matrix = read(str(tmp_path / name))
    n = len(expected)
    assert matrix.n == n
    assert (matrix.sparse is not None) == (name in SPARSE_WRITERS)
    assert matrix.value("spd", "logdet") == pytest.approx(np.linalg.slogdet(expected)[1], rel=1e-12)
    assert matrix.value("spd", "trace") == pytest.approx(np.trace(expected), rel=1e-13)
    assert matrix.value("spd", "inverse") == pytest.approx(np.trace(np.linalg.inv(expected)), rel=1e-10)
    assert matrix.value("residual", "logdet") == pytest.approx(np.linalg.slogdet(np.eye(n) + expected)[1], rel=1e-12)
    block = torch.from_numpy(np.random.default_rng(1).normal(size=(n, 3)))
    ahead = matrix.product(torch.float64, torch.device("cpu"))(block)
    assert torch.allclose(ahead, torch.from_numpy(expected) @ block, rtol=1e-13, atol=1e-13)
    assert matrix.sums == pytest.approx((np.abs(expected).sum(1).max(), np.abs(expected).sum(0).max()))


def test_integers_and_half_precision_are_numbers(tmp_path):
    """They are held in float64."""
    for kind in (np.int32, np.bool_, np.float16, np.float32):
        np.save(tmp_path / "K.npy", np.eye(3).astype(kind))
        assert read(str(tmp_path / "K.npy")).value("spd", "trace") == 3


def test_an_unsymmetric_matrix_and_its_transpose(tmp_path):
    """The transposed product is that of the transpose, dense and sparse; the asymmetry is the largest gap."""
    array = np.triu(np.arange(1.0, 10).reshape(3, 3))
    np.save(tmp_path / "J.npy", array)
    sparse.save_npz(tmp_path / "J.npz", sparse.csc_array(array))
    for name in ("J.npy", "J.npz"):
        matrix = read(str(tmp_path / name))
        back = matrix.transposed(torch.float64, torch.device("cpu"))(torch.eye(3, dtype=torch.float64))
        assert torch.equal(back, torch.from_numpy(array.T))
        assert matrix.asymmetry == pytest.approx(6 / 9)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_what_is_not_positive_definite_has_no_logarithm(tmp_path, kind):
    """Dense and sparse; an indefinite matrix with a positive determinant is caught too."""
    for array in (np.diag([1.0, -1.0, -1.0]), np.ones((3, 3)), np.zeros((3, 3)), -np.eye(2)):
        save = np.save if kind == "npy" else lambda path, a: sparse.save_npz(path, sparse.csc_array(a))
        save(tmp_path / f"A.{kind}", array)
        with pytest.raises(ValueError, match=rf"^A\.{kind} must be positive definite"):
            read(str(tmp_path / f"A.{kind}")).value("spd", "logdet")


def test_a_singular_residual_is_refused(tmp_path):
    """I + J with J = -I has the determinant 0, dense and sparse."""
    np.save(tmp_path / "J.npy", -np.eye(3))
    sparse.save_npz(tmp_path / "J.npz", sparse.csc_array(-np.eye(3)))
    for name in ("J.npy", "J.npz"):
        with pytest.raises(ValueError, match="regular, got a determinant of 0"):
            read(str(tmp_path / name)).value("residual", "logdet")


# -- files that are refused -------------------------------------------------------------------------------------------


class Trap:
    """A pickle that leaves a trace where it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


def _object_array(path):
    np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)


def _bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as out,
    ):
        for _ in range(8 * DENSE * DENSE // (1 << 24) + 2):
            out.write(bytes(1 << 24))


def _archive(path):
    with Path(path).open("wb") as stream:
        np.savez(stream, a=np.eye(2))


def _text(text):
    return lambda path: Path(path).write_text(text)


BANNER = "%%MatrixMarket matrix coordinate real general\n"
REFUSED = {
    "empty.npy": (lambda path: Path(path).touch(), "cannot be read as .npy"),
    "empty.npz": (lambda path: Path(path).touch(), "cannot be read as .npz"),
    "empty.mtx": (lambda path: Path(path).touch(), "cannot be read as .mtx"),
    "empty.pt": (lambda path: Path(path).touch(), "cannot be read as .pt"),
    "short.npy": (lambda path: (np.save(path, np.eye(9)), os.truncate(path, 200)), "cannot be read as .npy"),
    "pickle.npy": (lambda path: Path(path).write_bytes(pickle.dumps(Trap())), "cannot be read as .npy"),
    "objects.npy": (_object_array, "cannot be read as .npy"),
    "pickle.pt": (lambda path: torch.save(Trap(), path), "cannot be read as .pt"),
    "objects.npz": (lambda path: np.savez(path, a=np.array([[Trap()]], dtype=object)), "cannot be read as .npz"),
    "two.npz": (lambda path: np.savez(path, a=np.eye(2), b=np.eye(2)), "must hold one array.*got a, b"),
    "none.npz": (lambda path: zipfile.ZipFile(path, "w").close(), "must hold one array.*got none"),
    "archive.npy": (_archive, "an archive ends in .npz"),
    "number.pt": (lambda path: torch.save(3.0, path), "must hold one tensor, got float"),
    "K.csv": (_text("1,2\n3,4\n"), "must be in a file .npy, .npz, .mtx, .pt, got 'K.csv'"),
    "wide.npy": (lambda path: np.save(path, np.ones((2, 3))), r"square matrix.*shape \[2, 3\]"),
    "vector.npy": (lambda path: np.save(path, np.ones(3)), r"square matrix.*shape \[3\]"),
    "nothing.npy": (lambda path: np.save(path, np.ones((0, 0))), r"square matrix.*shape \[0, 0\]"),
    "batch.pt": (lambda path: torch.save(torch.ones(2, 3, 3), path), r"shape \[2, 3, 3\]"),
    "wide.mtx": (_text(f"{BANNER}2 3 1\n1 1 1\n"), r"shape \[2, 3\]"),
    "outside.mtx": (_text(f"{BANNER}2 2 1\n7 1 1\n"), "cannot be read as .mtx"),
    "broken.mtx": (_text(f"{BANNER}2 2 3\n1 1 1\n"), "cannot be read as .mtx"),
    "huge.mtx": (_text(f"{BANNER}9999999 9999999 1\n1 1 1\n"), f"at most {SPARSE} rows, got 9999999"),
    "huge.pt": (lambda path: torch.save(torch.zeros(1).expand(DENSE + 1, DENSE + 1), path), f"at most {DENSE} rows"),
    "bomb.npz": (_bomb, "must unpack to at most 2048 MiB"),
    "nan.npy": (lambda path: np.save(path, np.full((2, 2), np.nan)), "finite numbers, got 4 that are nan"),
    "inf.mtx": (_text(f"{BANNER}2 2 1\n1 1 inf\n"), "finite numbers, got 1"),
    "complex.npy": (lambda path: np.save(path, 1j * np.eye(2)), "must be real, got complex"),
    "complex.pt": (lambda path: torch.save(1j * torch.eye(2), path), "must be real, got complex"),
    "words.npy": (lambda path: np.save(path, np.array([["a", "b"], ["c", "d"]])), "must hold numbers, got <U1"),
    "fields.npy": (lambda path: np.save(path, np.zeros((2, 2), dtype=[("a", "f8")])), "must hold numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_file_is_refused_by_its_name(tmp_path, monkeypatch, name):
    """What, got and do, in one line without the folder; no pickle runs, and nothing large is unpacked."""
    monkeypatch.chdir(tmp_path)
    write, words = REFUSED[name]
    write(str(tmp_path / name))
    with pytest.raises(ValueError, match=words) as caught:
        read(str(tmp_path / name))
    text = str(caught.value)
    assert name in text
    assert str(tmp_path) not in text
    assert "\n" not in text
    assert not Path("ran").exists()
