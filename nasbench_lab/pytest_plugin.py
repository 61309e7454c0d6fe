"""pytest plugin: the marker `strategies` and the fixture `strategy_check` run the conformance kit on your strategies.

@pytest.mark.strategies("my_package.mine:Mine")
def test_conformance(strategy_check):
    strategy_check()
"""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "strategies(*specs): strategies whose conformance `strategy_check` checks")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per strategy and check."""
    if "strategy_check" not in metafunc.fixturenames:
        return
    from nasbench_lab.testing import check_strategy

    marker = metafunc.definition.get_closest_marker("strategies")
    if marker is None or not marker.args:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: say which strategies, @pytest.mark.strategies('pkg:Class')"
        )
    pairs = [(getattr(spec, "__name__", str(spec)), check) for spec in marker.args for check in check_strategy(spec)]
    metafunc.parametrize(
        "strategy_check", [check for _, check in pairs], ids=[f"{name}: {check}" for name, check in pairs]
    )
