"""Alerts: events are judged in pure code (`watch`), and told off every request's way (`post`)."""
