"""Counters of the service for Prometheus. One registry per runtime, so that tests do not share them."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.hud_streaming import HudCache

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LAG_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """What `/metrics` tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.clients = Gauge("spymaster_clients", "Open streams.", ["clock"], registry=r)
        self.windows_sent = Counter("spymaster_windows_sent", "Windows sent.", ["clock"], registry=r)
        self.windows_dropped = Counter(
            "spymaster_windows_dropped", "Windows dropped for slow clients of a shared clock.", registry=r
        )
        self.slow_clients_closed = Counter(
            "spymaster_slow_clients_closed", "Clients closed with 1013.", registry=r
        )
        self.publish_lag_s = Histogram(
            "spymaster_publish_lag_seconds",
            "From when a window was due until it was handed to the socket.",
            ["clock"],
            buckets=_LAG_BUCKETS_S,
            registry=r,
        )
        self.ring_windows = Gauge(
            "spymaster_ring_windows", "Windows in the ring of a shared clock.", ["symbol", "dt"], registry=r
        )
        self.shared_clock_seq = Gauge(
            "spymaster_shared_clock_seq",
            "Window that a shared clock sent last; 0 when nobody listens to one.",
            ["symbol", "dt"],
            registry=r,
        )
        self.requests = Counter("spymaster_requests", "HTTP answers.", ["endpoint", "status"], registry=r)
        self.refused_streams = Counter(
            "spymaster_refused_streams", "Streams not opened.", ["code"], registry=r
        )
        self.engine = Gauge(
            "spymaster_engine_counter",
            "Counters of the book engine, from the manifest.",
            ["symbol", "dt", "counter"],
            registry=r,
        )

    def loaded(self, cache: HudCache) -> None:
        """Take over the engine counters of a loaded day."""
        for name, count in cache.surfaces["snap"].manifest.counters.items():
            self.engine.labels(cache.symbol, cache.dt, name).set(count)

    def text(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self.registry)
