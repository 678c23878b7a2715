"""Exporters: what Prometheus scrapes. They import nothing of `bridge`, nor does it import them."""
