"""Multi-label data sets in Mulan's format, from files that the user has downloaded."""

from __future__ import annotations

import csv
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import torch

from kexue_bench import task
from kexue_f1.mulan_files import FOLDER, missing
from kexue_f1.tasks.held_out import HeldOutTask
from kexue_f1.words import LABEL_SCORES, RATES, TUNED

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_f1.tasks.linear import Data

SIZES = {"emotions": (593, 72, 6), "yeast": (2417, 103, 14), "scene": (2407, 294, 6)}
"""Items, features and labels of each data set."""


def load(name: str, *, items: int, features: int, labels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A data set in Mulan's format: `name.arff`, with its labels named in `name.xml`.

    If a file `name.arff.sha256` in the format of `sha256sum` exists beside it, the data must have that checksum.

    Args:
        items: number of items expected.
        features: number of numeric attributes expected.
        labels: number of labels expected.

    Returns:
        Items `[n, d]` and targets `[n, C]`, float64, attributes and labels in the order of the ARFF file.

    Raises:
        FileNotFoundError: a file is missing; the message says where to get it.
        ValueError: the checksum, the size or the format of a file is wrong.
    """
    if reason := missing(name):
        raise FileNotFoundError(reason)
    folder = Path(os.environ[FOLDER])
    data = (folder / f"{name}.arff").read_bytes()
    _check_sum(folder / f"{name}.arff.sha256", data)
    tree = ET.parse(folder / f"{name}.xml")  # noqa: S314  # the user chose this file
    names = {node.attrib["name"] for node in tree.iter() if "name" in node.attrib}
    attributes, rows = _parse(f"{name}.arff", data.decode("utf-8", "replace"))
    unknown = names - set(attributes)
    if unknown:
        raise ValueError(f"{name}.xml names labels that are not in {name}.arff: {', '.join(sorted(unknown))}")
    is_label = torch.tensor([attribute in names for attribute in attributes])
    table = torch.tensor(rows, dtype=torch.float64)
    x, y = table[:, ~is_label], table[:, is_label]
    got, expected = (*x.shape, y.shape[1]), (items, features, labels)
    if got != expected:
        raise ValueError(f"{name} must have {expected} items, features and labels, got {got}; use the full data set")
    if not bool(((y == 0) | (y == 1)).all()):
        raise ValueError(f"labels in {name}.arff must be 0 or 1")
    return x, y


def _check_sum(file: Path, data: bytes) -> None:
    if not file.is_file():
        return
    expected, found = file.read_text().split()[:1], hashlib.sha256(data).hexdigest()
    if expected != [found]:
        raise ValueError(f"{file.stem} must have the SHA-256 checksum in {file.name}, got {found}; download it again")


def _parse(name: str, text: str) -> tuple[list[str], list[list[float]]]:
    """Attribute names and rows of a dense ARFF file."""
    attributes: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        words = line.strip()
        if words.lower().startswith("@attribute"):
            rest = words[len("@attribute") :].strip()
            quote = rest[0] if rest[:1] in {"'", '"'} else ""
            attributes.append(rest[1:].partition(quote)[0] if quote else rest.split()[0])
        elif words.lower().startswith("@data"):
            break
    rows: list[list[float]] = []
    for row in csv.reader(line for line in lines if line.strip() and not line.startswith("%")):
        try:
            values = [float(value) for value in row]
        except ValueError as error:
            raise ValueError(f"{name}: every value must be a number, got row {len(rows) + 1}: {error}") from error
        if len(values) != len(attributes):
            raise ValueError(f"{name}: row {len(rows) + 1} must have {len(attributes)} values, got {len(values)}")
        rows.append(values)
    if not rows:
        raise ValueError(f"{name} contains no data; it must be a dense ARFF file")
    return attributes, rows


@task(
    "emotions-f1",
    "six emotions of 593 pieces of music, from files that the user downloads",
    version=1,
    kind="trained",
    knobs=(RATES,),
    suites={"full": ("emotions-f1",)},
    timed={"full"},
    replicates={"quick": 5, "standard": 10, "full": 50},
    stack=5,
    primary=TUNED,
    headline=LABEL_SCORES,
    fixed={"name": "emotions"},
    order=80,
)
@task(
    "yeast-f1",
    "fourteen functions of 2,417 genes, from files that the user downloads",
    version=1,
    kind="trained",
    knobs=(RATES,),
    suites={"full": ("yeast-f1",)},
    timed={"full"},
    replicates={"quick": 5, "standard": 10, "full": 50},
    stack=5,
    primary=TUNED,
    headline=LABEL_SCORES,
    fixed={"name": "yeast"},
    defaults={"steps": 1000},
    order=90,
)
@task(
    "scene-f1",
    "six scene types of 2,407 photographs, from files that the user downloads",
    version=1,
    kind="trained",
    knobs=(RATES,),
    suites={"full": ("scene-f1",)},
    timed={"full"},
    replicates={"quick": 5, "standard": 10, "full": 50},
    stack=5,
    primary=TUNED,
    headline=LABEL_SCORES,
    fixed={"name": "scene"},
    defaults={"steps": 1000},
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class MulanF1(HeldOutTask):
    """All items of one data set and one linear score per label; needs files that the user has downloaded.

    `emotions`: 593 pieces of music, 72 features, 6 labels, 1.9 of them true on average (Trohidis, Tsoumakas, Kalliris
    and Vlahavas, ISMIR 2008). `yeast`: 2,417 genes, 103 features, 14 labels, 4.2 true (Elisseeff, Weston, NIPS 2001).
    `scene`: 2,407 photographs, 294 features, 6 labels, 1.1 true (Boutell, Luo, Shen and Brown, Pattern Recognition 37,
    2004).

    Args:
        name: `emotions`, `yeast` or `scene`.
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting is out of range, or the name is unknown.
    """

    name: str
    batch: int = 32
    steps: int = 500
    lr: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in SIZES:
            raise ValueError(f"name must be one of {', '.join(SIZES)}, got {self.name!r}")

    def items(self, ctx: Context) -> Data:
        """The whole data set."""
        items, features, labels = SIZES[self.name]
        x, y = load(self.name, items=items, features=features, labels=labels)
        return x.to(ctx.device, ctx.dtype), y.to(ctx.device, ctx.dtype)
