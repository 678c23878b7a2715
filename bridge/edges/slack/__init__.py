"""Slack: a message and a thread for each incident, and the clicks on its buttons. The SDK is known to ``api`` alone."""
