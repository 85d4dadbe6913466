"""The command line: `understudy VERB`, one file a verb.

Exit codes: 0 it worked; 1 it failed (nobody answered, a test or scenario failed); 2 the command or
the configuration is wrong; 130 interrupted.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; the process ends with the exit code."""
    from understudy.cli.app import build

    build()()
