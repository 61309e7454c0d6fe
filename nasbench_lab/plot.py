"""Charts of results folders for papers and notebooks: each returns an Altair chart, `save` writes it as PDF, SVG or PNG.

    from nasbench_lab import plot
    plot.save(plot.regret("results/digits", "results/mine", width="text", font="serif", size=8), "figure.pdf")

Several folders, or several settings of one, are panels side by side. Options of all: `width` in inches, "column" (3.25) or "text"
(6.75), `height` of the plots in inches, `font`, `size` in points, `titles`; see `report.figures.figure`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasbench_lab.report.figures import figure, save

__all__ = [
    "deciding",
    "front",
    "hypervolume",
    "profile",
    "rank_ranges",
    "ranks",
    "regret",
    "save",
    "targets",
    "who_beats_whom",
]


def regret(*folders: str | Path, over: str = "queries", **options: Any) -> Any:
    """Mean test regret with its 95% band, over "queries" or simulated "seconds"."""
    return figure(folders, "regret" if over == "queries" else f"regret-{over}", **options)


def ranks(*folders: str | Path, **options: Any) -> Any:
    """Mean rank among the strategies on the same seed, over queries."""
    return figure(folders, "ranks", **options)


def targets(*folders: str | Path, **options: Any) -> Any:
    """Share of pairs of run and target hit so far, over queries (COCO's empirical distribution)."""
    return figure(folders, "targets", **options)


def rank_ranges(*folders: str | Path, **options: Any) -> Any:
    """The ranks that the tests cannot exclude; what a critical-difference diagram shows, from the tests that rank the board."""
    return figure(folders, "rank-ranges", **options)


def who_beats_whom(*folders: str | Path, **options: Any) -> Any:
    """A heat map: the probability that a run of one strategy ends better than one of another; grey where not separated."""
    return figure(folders, "who-beats-whom", **options)


def profile(*folders: str | Path, **options: Any) -> Any:
    """Performance profile: the share of runs that end with at most so much regret."""
    return figure(folders, "profile", **options)


def deciding(*folders: str | Path, **options: Any) -> Any:
    """Real seconds a strategy thinks per query against the regret it reaches."""
    return figure(folders, "deciding", **options)


def front(*folders: str | Path, **options: Any) -> Any:
    """Several objectives: the exact front, and what half of a strategy's runs attain."""
    return figure(folders, "front", **options)


def hypervolume(*folders: str | Path, over: str = "queries", **options: Any) -> Any:
    """Several objectives: normalised hypervolume over "queries" or simulated "seconds"."""
    return figure(folders, "hypervolume" if over == "queries" else f"hypervolume-{over}", **options)
