"""pytest plugin: markers and fixtures that run the conformance kit on your strategies and surrogates.

@pytest.mark.strategies("my_package.mine:Mine")
def test_conformance(strategy_check):
    strategy_check()

@pytest.mark.surrogates("my_package.predictor:Predictor")
def test_conformance(surrogate_check):
    surrogate_check()
"""

from __future__ import annotations

import pytest

_FIXTURES = {"strategy_check": "strategies", "surrogate_check": "surrogates"}


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for fixture, marker in _FIXTURES.items():
        config.addinivalue_line("markers", f"{marker}(*specs): {marker} whose conformance `{fixture}` checks")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per plug-in and check."""
    for fixture, name in _FIXTURES.items():
        if fixture in metafunc.fixturenames:
            _parametrize(metafunc, fixture, name)


def _parametrize(metafunc: pytest.Metafunc, fixture: str, name: str) -> None:
    from nasbench_lab.testing import strategy_kit

    marker = metafunc.definition.get_closest_marker(name)
    if marker is None or not marker.args:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: say which {name}, @pytest.mark.{name}('pkg:Class')")
    checks = strategy_kit.check_strategy if name == "strategies" else strategy_kit.check_surrogate
    pairs = [(getattr(spec, "__name__", str(spec)), check) for spec in marker.args for check in checks(spec)]
    metafunc.parametrize(fixture, [check for _, check in pairs], ids=[f"{spec}: {check}" for spec, check in pairs])
