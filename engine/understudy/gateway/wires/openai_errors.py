"""Errors in OpenAI's words, for all of its endpoints."""

from __future__ import annotations

from typing import Any

from understudy.gateway.problem import Problem


def error_body(problem: Problem) -> dict[str, Any]:
    """The body of an error, or of the event that ends a stream."""
    return {
        "error": {
            "message": problem.message,
            "type": problem.kind,
            "param": problem.param,
            "code": problem.code,
        }
    }
