"""Tables that were measured after the defaults were chosen, for ``--which defaults``.

``python benchmarks/rdatasets.py CLONE FOLDER`` reads them from a clone of
https://github.com/vincentarelbundock/Rdatasets, the data sets of R's packages, and
writes them to FOLDER, for ``--data FOLDER``. They were chosen by their names and
labels, before a model was fitted.
"""

import argparse
import csv
import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

# Rows without a label are left out, and classes with fewer rows. A column with more
# different words has names or dates.
LEAST_ROWS, MOST_WORDS = 8, 30
MISSING = ("NA", "")

# The package and the name of a table: its label, and the columns that are left out,
# because they number the rows or tell the label.
TABLES: dict[str, tuple[str, ...]] = {
    "AER/CPS1985": ("occupation",),
    "AER/CreditCard": ("card", "expenditure", "share"),
    "AER/GSOEP9402": ("school",),
    "AER/HMDA": ("deny",),
    "AER/HealthInsurance": ("insurance",),
    "AER/PSID1976": ("participation", "hours", "wage", "repwage", "experience"),
    "AER/SmokeBan": ("smoker",),
    "AER/SwissLabor": ("participation",),
    "CardioDataSets/cardiac_failure_df": ("DEATH_EVENT",),
    "CardioDataSets/heartdisease_tbl_df": ("HeartDisease",),
    "DAAG/ais": ("sport",),
    "DAAG/headInjury": ("clinically.important.brain.injury",),
    "DAAG/leafshape": ("arch",),
    "DAAG/mifem": ("outcome",),
    "DAAG/monica": ("outcome",),
    "DAAG/spam7": ("yesno",),
    "Ecdat/Catsup": ("choice", "id"),
    "Ecdat/Fishing": ("mode",),
    "Ecdat/Heating": ("depvar", "idcase"),
    "Ecdat/Mathlevel": ("mathlevel",),
    "Ecdat/Mode": ("choice",),
    "Ecdat/Star": ("classk",),
    "Ecdat/Train": ("choice", "id", "choiceid"),
    "Ecdat/Yogurt": ("choice", "id"),
    "ISLR/Auto": ("origin", "name"),
    "ISLR/Caravan": ("Purchase",),
    "ISLR/Carseats": ("ShelveLoc",),
    "ISLR/College": ("Private",),
    "ISLR/Default": ("default",),
    "ISLR/OJ": ("Purchase",),
    "ISLR/Smarket": ("Direction", "Today"),
    "MASS/OME": ("OME", "ID"),
    "MASS/Pima.te": ("type",),
    "MASS/biopsy": ("class", "ID"),
    "MASS/birthwt": ("low", "bwt"),
    "MASS/crabs": ("sp", "index"),
    "MLDataR/diabetes_data": ("DiabeticClass",),
    "MLDataR/heartdisease": ("HeartDisease",),
    "MLDataR/stroke_classification": ("stroke", "pat_id"),
    "MLDataR/thyroid_disease": ("ThryroidClass",),
    "OncoDataSets/WBreastCancer_tbl_df": ("status", "id"),
    "Stat2Data/AHCAvote2017": ("AHCAvote", "Member"),
    "Stat2Data/Gunnels": ("Gunnel",),
    "Stat2Data/Hawks": ("Species", "CaptureTime", "ReleaseTime", "BandNumber"),
    "Stat2Data/MathPlacement": ("CourseSuccess", "Grade", "Student"),
    "carData/Arrests": ("released",),
    "carData/BEPS": ("vote",),
    "carData/CES11": ("abortion", "id"),
    "carData/Chile": ("vote",),
    "carData/Greene": ("decision",),
    "carData/Salaries": ("rank",),
    "carData/Wells": ("switch",),
    "medicaldata/indo_rct": ("outcome", "id", "type"),
    "modeldata/Sacramento": ("type",),
    "modeldata/ad_data": ("Class",),
    "modeldata/attrition": ("Attrition",),
    "modeldata/cells": ("class", "case"),
    "modeldata/credit_data": ("Status",),
    "modeldata/hepatic_injury_qsar": ("class",),
    "modeldata/hpc_data": ("class",),
    "modeldata/leaf_id_flavia": ("species",),
    "modeldata/lending_club": ("Class",),
    "modeldata/mlc_churn": ("churn",),
    "modeldata/pd_speech": ("class",),
    "modeldata/penguins": ("sex",),
    "modeldata/stackoverflow": ("Remote",),
    "modeldata/wa_churn": ("churn",),
    "openintro/bdims": ("sex",),
    "openintro/email": ("spam", "time"),
    "openintro/evals": ("rank",),
    "openintro/gss2010": ("degree",),
    "openintro/smoking": ("smoke", "amt_weekends", "amt_weekdays", "type"),
    "psych/bfi": ("gender",),
    "vcd/Baseball": ("league86", "team86", "team87", "league87", "div86"),
    "wooldridge/jtrain2": ("train",),
    "wooldridge/k401ksubs": ("e401k", "p401k", "pira"),
    "wooldridge/loanapp": ("approve", "action", "reject"),
}


def table(file: Path, label: str, left_out: Sequence[str]) -> list[list[str]]:
    """Return the rows of a CSV file; the label comes last."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    counts = Counter(row[label] for row in rows)
    counts.update(dict.fromkeys(MISSING, -len(rows)))
    rows = [row for row in rows if counts[row[label]] >= LEAST_ROWS]
    columns = [
        ["" if row[name] in MISSING else row[name] for row in rows]
        for name in rows[0]
        if name not in ("rownames", label, *left_out)
    ]
    labels = [row[label] for row in rows]
    kept = [*filter(_is_kept, columns), labels]
    return [list(cells) for cells in zip(*kept, strict=True)]


def _is_kept(column: Sequence[str]) -> bool:
    """Return whether a column is of numbers, or of few different words."""
    words = set(column) - {""}
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return len(words) <= MOST_WORDS


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clone", type=Path, help="a clone of Rdatasets")
    parser.add_argument("folder", type=Path, help="for the tables")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, (label, *left_out) in TABLES.items():
        rows = table(options.clone / f"csv/{name}.csv", label, left_out)
        target = options.folder / f"{name.split('/')[1]}.csv.gz"
        with gzip.open(target, "wt", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
