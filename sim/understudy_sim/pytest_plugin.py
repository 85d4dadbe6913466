"""A pytest plugin: run a scenario over many seeds, each a test of its own, under every checker.

    @pytest.mark.simulated("primary-outage", seeds=20)
    def test_hardly_a_request_fails(simulated_run):
        assert sum(each.ok for each in simulated_run.requests) > 0.99 * len(simulated_run.requests)

The first argument is a scenario of the library by name, a file, a table, or a `Scenario`; `engine`
replaces its engine's configuration, which may be a file as well. The test fails before it begins if
a law of the trace is broken, and the message names the law; a run that passes was made twice, and
was the same twice. Installing the package is enough; importing this costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from understudy_sim.run import Run
    from understudy_sim.scenario import Scenario

MARKER = "simulated"
FIXTURE = "simulated_run"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", f"{MARKER}(scenario, seeds=1, engine=None): run it for the fixture {FIXTURE}"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a seed."""
    if FIXTURE not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None or not marker.args:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid} takes {FIXTURE}: mark it "
            f'@pytest.mark.{MARKER}("primary-outage")'
        )
    seeds = marker.kwargs.get("seeds", 1)
    chosen = range(1, seeds + 1) if isinstance(seeds, int) else seeds
    metafunc.parametrize(FIXTURE, chosen, indirect=True, ids=[f"seed {each}" for each in chosen])


@pytest.fixture
def simulated_run(request: pytest.FixtureRequest) -> Run:
    """The finished run of the test's scenario and seed; see the module."""
    from understudy_sim.testing import verify_scenario

    marker = request.node.get_closest_marker(MARKER)
    scenario = _scenario(marker.args[0], marker.kwargs.get("engine"), request.path.parent)
    (run,) = verify_scenario(scenario, seeds=(request.param,))
    return run


def _scenario(
    source: str | Path | Mapping[str, Any] | Scenario, engine: object, folder: Path
) -> Scenario:
    from understudy_sim.faults import bare
    from understudy_sim.scenario import load, parse

    if isinstance(source, str | Path):
        path = Path(source)
        scenario = load(folder / path if path.suffix else source)
    else:
        scenario = parse(source, folder)
    if engine is None:
        return scenario
    document: Any = bare(scenario)
    return parse({**document, "engine": engine}, folder)
