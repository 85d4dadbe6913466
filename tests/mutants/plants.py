"""The planted faults: each is a bug that a public router or breaker library has had, or could have.

Every one compiles, serves a healthy world well, and shows only when something fails.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.plants_provider import BREAKER, ENDPOINTS, HOLDS, SLOTS
from tests.mutants.plants_routing import ADAPTERS, DISPATCH, LOOP, RUNTIME
from tests.mutants.plants_store import STORE

PLANTS: Final = (
    *(*BREAKER, *HOLDS, *SLOTS, *ENDPOINTS, *DISPATCH, *LOOP, *RUNTIME, *ADAPTERS),
    *STORE,
)
QUICK: Final = (
    "stale verdicts count",
    "half-open lets everyone through",
    "it never fails over",
    "a caller that leaves keeps the permit",
    "restarts do not back off",
    "what may have been spent is forgotten",
)
"""Those that the ordinary tests hunt: one a subject."""
