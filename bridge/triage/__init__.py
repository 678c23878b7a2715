"""What should happen to an incident: rules over evidence, and the phrases that speak against a repair."""
