"""Metrics of a sweep for Prometheus, beside Ray's own: what the Grafana dashboard under clusters/grafana shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray.util import metrics

if TYPE_CHECKING:
    from orchestrator.cluster.panel_pool import PanelPool
    from orchestrator.sweep.sweep import Sweep

PREFIX = "anonymization"
WAITS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
"""Bounds of the histogram of waits, s."""
FAILURES = ("configuration", "panel", "machine", "courier")
"""Kinds of failure: the configuration said no, or what worked on it died or went away."""

GAUGES = {
    "trials": ("Trials of the sweep, by state.", ("state",)),
    "panels": ("Panels, by state.", ("state",)),
    "panel_busy_share": ("Share of the standing panels that a trial is with.", ()),
    "panel_held_bytes": ("Memory that a panel held when it was made, of its GPU or of the machine.", ("panel",)),
    "failures": ("Failures since the start, by kind.", ("kind",)),
    "faces_per_second": ("Faces anonymized and measured per second, since the start.", ()),
    "front_size": ("Configurations on the front.", ()),
    "hypervolume": ("Hypervolume of the front.", ()),
}


class Telemetry:
    """Tell Ray's metrics agent how a sweep stands."""

    def __init__(self) -> None:
        self.gauges = {
            name: metrics.Gauge(f"{PREFIX}_{name}", description=text, tag_keys=tags)
            for name, (text, tags) in GAUGES.items()
        }
        self.failures = dict.fromkeys(FAILURES, 0)
        self.wait = metrics.Histogram(
            f"{PREFIX}_queue_wait_seconds",
            description="Time of a trial between its proposal and its outcome in which no panel worked on it.",
            boundaries=WAITS,
        )

    def look(self, sweep: Sweep, pool: PanelPool) -> None:
        """Set every gauge to what is so now."""
        left = sweep.total - len(sweep.rows) - sweep.running
        for state in ("complete", "stopped", "failed"):
            self.gauges["trials"].set(sweep.statuses[state], {"state": state})
        self.gauges["trials"].set(sweep.running, {"state": "running"})
        self.gauges["trials"].set(left, {"state": "waiting"})
        standing = pool.standing
        self.gauges["panels"].set(len(pool.seats) - len(standing), {"state": "starting"})
        self.gauges["panels"].set(pool.busy, {"state": "busy"})
        self.gauges["panels"].set(len(standing) - pool.busy, {"state": "idle"})
        self.gauges["panel_busy_share"].set(pool.busy / len(standing) if standing else 0.0)
        for seat in standing:
            self.gauges["panel_held_bytes"].set(seat.held_bytes, {"panel": seat.name})
        for kind, count in self.failures.items():
            self.gauges["failures"].set(count, {"kind": kind})
        self.gauges["faces_per_second"].set(sweep.faces_per_second)
        self.gauges["front_size"].set(sweep.front.size)
        self.gauges["hypervolume"].set(sweep.front.hypervolume)
