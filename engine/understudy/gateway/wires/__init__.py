"""One module for each format that callers speak; each reads bodies and writes answers, no more."""
