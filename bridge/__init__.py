"""HemoStat: from a firing Prometheus alert to a verified repair of a container, or to a page for a human."""
