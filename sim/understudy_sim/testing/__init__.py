"""The verification kit: hold a strategy, an adapter or a configuration of your own to its laws.

    from understudy_sim.testing import verify_adapter, verify_config, verify_strategy

    def test_loyal():
        verify_strategy(Loyal)

    def test_our_configuration():
        verify_config("understudy.toml")

    def test_our_adapter():
        verify_adapter(OurAdapter(), examples=[(Request.chat("hi"), a_good_answer)])

Each raises one `LawBroken` whose message names the law. Everything runs on virtual time, without
network and keys. `understudy_sim.testing.documents` holds Hypothesis strategies that draw whole
scenarios; `understudy_sim.pytest_plugin` a marker that runs one over many seeds.
"""

from __future__ import annotations

from understudy_sim.testing.adapter import verify_adapter
from understudy_sim.testing.config import verify_config
from understudy_sim.testing.laws import LawBroken
from understudy_sim.testing.strategy import verify_strategy
from understudy_sim.testing.worlds import EVERY, verify_scenario, violations_of

__all__ = [
    "EVERY",
    "LawBroken",
    "violations_of",
    "verify_adapter",
    "verify_config",
    "verify_scenario",
    "verify_strategy",
]
