"""Laws of a pure module, tried on a copy with a planted fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, Phase, settings


def planted_profile(name: str, *, max_examples: int, **more: Any) -> str:
    """Register how laws look for a planted fault, always in the same way; returns its name."""
    settings.register_profile(
        name,
        settings.get_profile("default"),
        max_examples=max_examples,
        derandomize=True,
        phases=[Phase.generate],  # finding is enough: nobody reads its smallest example
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        **more,
    )
    return name


def a_law_breaks(
    laws: Iterable[Callable[[ModuleType], object]], module: ModuleType, profile: str
) -> bool:
    """Does any of the laws break?"""
    before = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        for law in laws:
            law(module)
    except Exception:
        return True
    finally:
        settings.load_profile(before)
    return False
