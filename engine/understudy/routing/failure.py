"""Turns whatever an attempt raised into one typed error of ours."""

from __future__ import annotations

import math

from understudy.adapters.function import error_class_of
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.errors import ProviderError, provider_error
from understudy_actors.domain.outcome import ErrorClass


def typed(error: Exception, spec: EndpointSpec) -> ProviderError:
    """The typed error for what an attempt at `spec` raised.

    The text of foreign exceptions is left out: it may hold a key or a prompt. The exception itself
    is the cause, for whoever debugs the code that raised it.
    """
    if isinstance(error, ProviderError):
        error.provider, error.model = spec.provider, spec.model
        if error.retry_after_s is not None:
            error.retry_after_s = _seconds(error.retry_after_s)
        return error
    failed = provider_error(
        error_class_of(error),
        f"{spec.name}: the code that serves it raised {type(error).__name__}. "
        "Read the error's cause, and mend it.",
        provider=spec.provider,
        model=spec.model,
    )
    failed.__cause__ = error
    return failed


def _seconds(stated: object) -> float | None:
    """A delay that code from outside stated; None if it is no length of time."""
    if isinstance(stated, int | float) and math.isfinite(stated) and stated >= 0.0:
        return float(stated)
    return None


def no_reply(answer: object, spec: EndpointSpec) -> ProviderError:
    """The error for an attempt that returned something else than a `Reply`."""
    return provider_error(
        ErrorClass.ADAPTER,
        f"{spec.name}: the code that serves it returned {type(answer).__name__}. "
        "Mend it: it must return a Reply, or raise.",
        provider=spec.provider,
        model=spec.model,
    )


def silent(spec: EndpointSpec, elapsed_s: float) -> ProviderError:
    """The error for an attempt that ran into its own limit."""
    return provider_error(
        ErrorClass.SILENT,
        f"{spec.name} did not answer within {elapsed_s:.2f} s. Raise its `timeout`, "
        "or the request's, if that is too short for it.",
        provider=spec.provider,
        model=spec.model,
    )
