"""What a shell offers while names are typed: strategies, surrogates and tables at hand."""

from __future__ import annotations


def strategies(incomplete: str) -> list[str]:
    """Names of strategies that begin so."""
    return _named("strategies", incomplete)


def surrogates(incomplete: str) -> list[str]:
    """Names of surrogates that begin so."""
    return _named("surrogates", incomplete)


def tables(incomplete: str) -> list[str]:
    """Names of tables at hand that begin so."""
    from nasbench_lab.tables import catalog

    return [name for name in catalog.available() if name.startswith(incomplete)]


def _named(folder: str, incomplete: str) -> list[str]:
    from nasbench_lab import loading

    return [name for name in loading.names(folder) if name.startswith(incomplete)]
