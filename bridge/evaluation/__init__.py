"""``hemostat eval``: labelled scenarios, whoever decides asked about each, and how good the answers were.

A scenario holds the same ``Evidence`` that a running bridge collects, so what is measured is what runs: the rules, the
two keys and the guards themselves. Reads scenario files; asks a model only where one is named; repairs nothing.
"""
