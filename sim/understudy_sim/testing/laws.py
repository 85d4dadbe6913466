"""How the kit says that something of yours breaks a law: one error, which names the law first."""

from __future__ import annotations


class LawBroken(AssertionError):
    """What was verified breaks a law.

    Attributes:
        subject: What was verified.
        law: The law in one sentence; the same text for every way to break it.
        what: What happened instead.
    """

    def __init__(self, subject: str, law: str, what: str) -> None:
        self.subject, self.law, self.what = subject, law, what
        super().__init__(f"{subject} breaks a law: {law}.\n{what}")
