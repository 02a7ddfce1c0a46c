"""Where the files of Mulan's data sets are searched for; without torch, because the plan asks as well."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "KEXUE_MULAN"
"""Environment variable with the folder of the files."""
SOURCE = "https://mulan.sourceforge.net/datasets.html"


def missing(name: str) -> str | None:
    """Why a data set cannot be loaded here and what to do about it; None if its files exist."""
    folder = os.environ.get(FOLDER, "")
    absent = [file for file in (f"{name}.arff", f"{name}.xml") if not folder or not (Path(folder) / file).is_file()]
    if not absent:
        return None
    where = f"in {folder}" if folder else f"because {FOLDER} is not set"
    return f"no {' and '.join(absent)} {where}; unpack {name} from {SOURCE} into a folder and set {FOLDER} to it"
