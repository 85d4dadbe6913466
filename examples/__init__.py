"""Programs that embed an engine, for reading and for copying; each is run by a test."""
