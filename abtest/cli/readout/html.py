"""A readout as one HTML file, which asks for nothing from anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abtest.cli.readout import charts, figures
from abtest.escape import line

if TYPE_CHECKING:
    from abtest.readout.breakdown import By
    from abtest.readout.readout import Readout
    from abtest.readout.route import RouteReadout

__all__ = ["write"]

TEMPLATE = "report.html"


@dataclass(frozen=True)
class _Picture:
    kind: str
    title: str
    caption: str
    svg: str


def write(readout: Readout, by: Collection[By] = ()) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        readout=readout,
        headline=figures.headline(readout),
        marks=figures.MARKS,
        effect_heads=figures.EFFECTS,
        effects=figures.effects,
        facts=figures.facts,
        name_of=figures.name_of,
        not_compared=figures.not_compared,
        span=figures.span,
        would_show=figures.would_show,
        periods=list(figures.periods(readout)),
        breakdowns=[(name, *figures.breakdown(readout.breakdowns.get(name, ()))) for name in by],
        pictures={route.name: list(_pictures(route, f"route{number}")) for number, route in enumerate(readout.routes)},
    )


def _shown(value: Any) -> Any:
    """A value as the page has it, before its marks are escaped; a picture is marked up already."""
    return line(value) if type(value) is str else value


def _pictures(route: RouteReadout, name: str) -> Iterator[_Picture]:
    """Of what there is; ``name`` makes the pictures' ids."""
    places = {variant.name: place for place, variant in enumerate(route.variants)}
    for number, effect in enumerate(route.effects):
        if effect.over_time:
            yield _Picture(
                "difference",
                f"{effect.label}: {effect.variant} less {route.control}",
                "The difference so far; the band is the always-valid interval.",
                charts.difference(effect, f"{name}-difference{number}", places[effect.variant]),
            )
    if route.shares:
        caption = (
            "Of each step's requests. The broad line is what was asked for new clients; others keep their variant."
        )
        yield _Picture("shares", "Shares of requests", caption, charts.shares(route, f"{name}-shares"))
    if any(variant.latency_curve for variant in route.variants):
        caption = "Part of the answers that came within a time; dots are p50, p90 and p99. Further right is slower."
        yield _Picture("latencies", "Latency", caption, charts.latencies(route, f"{name}-latencies"))
