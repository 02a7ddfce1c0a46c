"""Where the files of Mulan's data sets are looked for; without torch, since the plan asks too."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "KEXUE_MULAN"
"""Environment variable that names the folder with the files."""
SOURCE = "https://mulan.sourceforge.net/datasets.html"


def missing(name: str) -> str | None:
    """Why a data set cannot be loaded here, with what to do about it; None where its files are there."""
    folder = os.environ.get(FOLDER, "")
    absent = [file for file in (f"{name}.arff", f"{name}.xml") if not folder or not (Path(folder) / file).is_file()]
    if not absent:
        return None
    where = f"in {folder}" if folder else f"since {FOLDER} is not set"
    return f"no {' and '.join(absent)} {where}; unpack {name} from {SOURCE} into a folder and set {FOLDER} to it"
