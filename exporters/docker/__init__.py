"""The Docker exporter: state, health, exits, restarts and OOM kills of containers, for Prometheus.

Standard library only, so that it stays small beside what it watches: no Docker SDK, no prometheus-client,
nothing of `bridge`.
"""
