"""Whom HemoStat talks to: one file or folder per neighbour, each SDK imported in exactly one. No decisions here."""
