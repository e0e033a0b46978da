"""Pickles of arrays are read; whatever else a pickle asks for is refused, and nothing of it runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluators.networks.catalog.packages.conversions.numpy_pickle import read_arrays

RNG = np.random.default_rng(0)
ARRAYS = {
    "net": {"kernel": RNG.standard_normal((3, 2, 4)).astype(np.float32), "bias": np.arange(4, dtype=np.int64)},
    "columns": np.asfortranarray(RNG.standard_normal((3, 5))),
}


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_are_read_by_their_path(protocol: int) -> None:
    data = pickle.dumps(ARRAYS, protocol=protocol)
    if protocol == 2:  # there numpy writes bytes as text with a codec, which is a call
        with pytest.raises(ValueError, match=r"it asks for _codecs\.encode"):
            read_arrays(data)
        return
    found = read_arrays(data)
    assert list(found) == ["net.kernel", "net.bias", "columns"]
    np.testing.assert_array_equal(found["net.kernel"], ARRAYS["net"]["kernel"])
    np.testing.assert_array_equal(found["net.bias"], ARRAYS["net"]["bias"])
    np.testing.assert_array_equal(found["columns"], ARRAYS["columns"])


class Calls:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_a_pickle_that_calls_is_refused_and_calls_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for call in (
        Calls(os.system, f"touch {mark}"),
        Calls(open, str(mark), "w"),
        Calls(eval, f"open({str(mark)!r}, 'w')"),
        Calls(np.frombuffer, b"1234"),
        Calls(getattr, "text", "upper"),
    ):
        for value in (call, {"kernel": call}):
            with pytest.raises(ValueError, match="expected numpy arrays and nothing else, it asks for"):
                read_arrays(pickle.dumps(value, protocol=3))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": 3}, "expected numpy arrays by name, got a int at a"),
        ([ARRAYS["columns"]], "got a list at its top"),
        ({1: ARRAYS["columns"]}, "got a dict at its top"),
        ({"a": np.array([{}], dtype=object)}, "expected arrays of f4"),
        ({"a": np.arange(3, dtype=">f4")}, "little-endian, got another one"),
        ({"a": np.array(["text"])}, "expected arrays of f4"),
    ],
)
def test_other_values_are_refused(value: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_arrays(pickle.dumps(value, protocol=3))


def test_a_damaged_pickle_is_named() -> None:
    data = pickle.dumps(ARRAYS, protocol=3)
    for broken in (data[:-20], b"", b"no pickle", data.replace(b"ndarray", b"ndarraz")):
        with pytest.raises(ValueError, match="pickle: expected"):
            read_arrays(broken)
