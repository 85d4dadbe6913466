"""Both transports keep the same promises."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.transport.kit import REAL, Connected, Real, connected_by


@pytest.fixture(params=REAL, ids=lambda real: real.__name__)
def real(request: Any) -> type[Real]:
    """One transport, then the other."""
    found: type[Real] = request.param
    return found


@pytest.fixture
def connected(real: type[Real]) -> Connected:
    """A server and a transport to it."""
    return connected_by(real)
