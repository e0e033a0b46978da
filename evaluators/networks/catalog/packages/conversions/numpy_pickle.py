"""Pickles of numpy arrays, read without trust: nothing that a pickle names is ever called but two recorders of ours."""

from __future__ import annotations

import io
import math
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES: dict[str, np.dtype[Any]] = {
    "f4": np.dtype("<f4"),
    "f8": np.dtype("<f8"),
    "i4": np.dtype("<i4"),
    "i8": np.dtype("<i8"),
}


class _Type:
    """Record a dtype: its kind and size, then its byte order."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]


class _Array:
    """Record an array: shape, type, order and bytes."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> NDArray[Any]:
        try:
            _, shape, kind, columns, data = self.state
            dtype = TYPES[kind.name]
            if kind.order == "<" and isinstance(data, bytes) and len(data) == math.prod(shape) * dtype.itemsize:
                whole: NDArray[Any] = np.frombuffer(data, dtype)
                return whole.reshape(shape, order="F" if columns else "C")
        except (TypeError, KeyError, AttributeError, ValueError):
            pass
        raise ValueError(f"pickle: expected arrays of {', '.join(TYPES)}, little-endian, got another one")


class _Reader(pickle.Unpickler):
    """Know three names; whatever else a pickle asks for is refused before it is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("numpy.core.multiarray", "_reconstruct"): _Array,
            ("numpy._core.multiarray", "_reconstruct"): _Array,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
        }
        if (module, name) not in known:
            raise ValueError(f"pickle: expected numpy arrays and nothing else, it asks for {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise ValueError("pickle: expected numpy arrays and nothing else, it asks for another file")


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Read a pickle of nested dictionaries of arrays.

    Returns:
        The arrays by their path, with dots between the names.

    Raises:
        ValueError: if it holds, or names, anything else.
    """
    try:
        found = _Reader(io.BytesIO(data)).load()
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle raises whatever it runs into
        raise ValueError(f"pickle: expected one that can be read, {type(error).__name__}: {error}") from error
    arrays: dict[str, NDArray[Any]] = {}
    _walk(found, "", arrays, 0)
    return arrays


def _walk(value: Any, path: str, arrays: dict[str, NDArray[Any]], depth: int) -> None:
    if isinstance(value, _Array):
        arrays[path] = value.array()
    elif isinstance(value, dict) and depth < 16 and all(isinstance(key, str) for key in value):
        for key, one in value.items():
            _walk(one, f"{path}.{key}" if path else key, arrays, depth + 1)
    else:
        raise ValueError(f"pickle: expected numpy arrays by name, got a {type(value).__name__} at {path or 'its top'}")
