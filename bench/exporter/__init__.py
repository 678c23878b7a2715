"""`python -m bench.exporter`: what the Docker exporter costs and how soon it shows what happens, on a real fleet.

An Engine of its own with busybox containers, made once and removed at the end; the baseline of the same run is the
best that can be had from the Docker API: one-shot statistics, raw, as many at once as is quickest. Root only, as the
Engine is.
"""
