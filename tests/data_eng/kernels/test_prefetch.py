"""A prefetch is a hint: it reads nothing that a program can see, wherever it points."""

from __future__ import annotations

import numpy as np

from data_eng.kernels.jit import njit
from data_eng.kernels.prefetch import _without_jit, prefetch_row


@njit()
def hint_at_all(rows, indices):
    for k in range(indices.shape[0]):
        prefetch_row(rows, indices[k])
    return indices.shape[0]


def test_rows_are_as_they_were_and_an_index_outside_does_no_harm():
    rows = np.arange(40).view([("a", "i8"), ("b", "i4"), ("c", "i4")])
    before = rows.copy()
    indices = np.array([0, 19, 20, -1, 10**9], np.int64)
    assert hint_at_all(rows, indices) == len(indices)
    assert (rows == before).all()


def test_without_the_jit_it_does_nothing():
    rows = np.zeros(3, [("a", "i8")])
    _without_jit(rows, 10**9)
    assert (rows["a"] == 0).all()
