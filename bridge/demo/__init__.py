"""`hemostat demo`: the whole loop on this machine, on real services, in one command."""
