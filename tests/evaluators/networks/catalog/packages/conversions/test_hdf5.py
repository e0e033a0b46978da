"""HDF5 of Keras' old kind, written here by hand as its specification says."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from evaluators.networks.catalog.packages.conversions.hdf5 import SIGNATURE, read_datasets
from tests.helpers.tiny_hdf5 import hdf5_file

RNG = np.random.default_rng(0)
ARRAYS = {
    "weights/first/kernel:0": RNG.standard_normal((3, 3, 1, 8)).astype(np.float32),
    "weights/first/bias:0": RNG.standard_normal(8).astype(np.float32),
    "weights/second/kernel:0": RNG.standard_normal((2, 5)).astype(np.float32),
    "top": np.float32([1, 2, 3]),
}


def test_datasets_are_read_by_their_path() -> None:
    found = read_datasets(hdf5_file(ARRAYS))
    assert sorted(found) == sorted(ARRAYS)
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(found[name], value)


def test_damaged_files_are_named() -> None:
    data = hdf5_file(ARRAYS)
    for broken in (
        b"",
        b"no file",
        data[:200],
        data[:-8],
        SIGNATURE + b"\x02" + data[9:],
        data.replace(b"TREE", b"TREF"),
    ):
        with pytest.raises(ValueError, match="hdf5: expected"):
            read_datasets(broken)


def test_a_group_that_holds_itself_is_refused() -> None:
    data = bytearray(hdf5_file({"a/b": np.float32([1])}))
    root = struct.unpack_from("<Q", data, 64)[0]
    tree = struct.unpack_from("<Q", data, root + 24)[0]
    node = struct.unpack_from("<Q", data, tree + 32)[0]
    struct.pack_into("<Q", data, node + 16, root)  # its member is the group itself
    with pytest.raises(ValueError, match="expected groups at most 32 deep"):
        read_datasets(bytes(data))
