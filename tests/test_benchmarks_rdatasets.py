"""The tables first measured after the defaults were chosen: a clone of Rdatasets."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from benchmarks import rdatasets
from benchmarks.data import read_csv

ROWS = """rownames,id,size,colour,name,made,kind
1,7,1.5,red,a0,TRUE,old
2,8,NA,blue,a1,FALSE,new
3,9,2.5,NA,a2,TRUE,NA
"""


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "csv" / "pack").mkdir(parents=True)
    head, *rows = ROWS.splitlines()
    lines = [head, *(rows * 20), "61,1,2.0,red,b,TRUE,rare"]
    names = (line.replace(",a", f",a{n}") for n, line in enumerate(lines))
    file = tmp_path / "csv" / "pack" / "things.csv"
    file.write_text("\n".join([head, *list(names)[1:]]), encoding="utf-8")
    return tmp_path


def test_a_table_keeps_numbers_words_and_frequent_labels(clone, tmp_path, monkeypatch):
    monkeypatch.setattr(rdatasets, "TABLES", {"pack/things": ("kind", "id")})
    rdatasets.main([str(clone), str(tmp_path / "tables")])
    data = read_csv(tmp_path / "tables" / "things.csv.gz")
    # size, two colours, whether it was made; the names are all different.
    assert data.X.shape == (40, 5)
    assert_array_equal(np.unique(data.X[:, 0]), [1.5])
    assert_array_equal(np.bincount(data.y), [20, 20])


def test_every_table_has_a_label_and_a_name_of_its_own():
    names = [name.split("/")[1] for name in rdatasets.TABLES]
    assert len(set(names)) == len(names)
    assert all(label for label, *_ in rdatasets.TABLES.values())
