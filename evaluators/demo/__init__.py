"""The demo world: rendered people, and small networks trained on them."""

from __future__ import annotations

from evaluators.demo.protocol import demo_protocol

__all__ = ["demo_protocol"]
