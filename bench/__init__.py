"""Figures about HemoStat, each beside a baseline of the same run; never a test, and nothing of it is shipped."""
