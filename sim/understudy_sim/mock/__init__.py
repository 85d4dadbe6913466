"""A mock AI provider on real sockets, with faults on a schedule."""

from understudy_sim.mock.provider import MockProvider
from understudy_sim.mock.server import MockHandle, running_mock, serve
from understudy_sim.mock.settings import Behaviour, FixedUsage, MockSettings
from understudy_sim.mock.stats import Stats

__all__ = [
    "Behaviour",
    "FixedUsage",
    "MockHandle",
    "MockProvider",
    "MockSettings",
    "Stats",
    "running_mock",
    "serve",
]
