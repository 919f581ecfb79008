"""Which variant answers a request: pure, no I/O."""

from abtest.routing.analysis import Loop, Shadow, redirect_loops, shadows, sticky_lag, unreached, warnings
from abtest.routing.examples import example
from abtest.routing.request import Request, RequestError
from abtest.routing.table import Action, Decision, Route, RoutingTable, percent, shares_of

__all__ = [
    "Action",
    "Decision",
    "Loop",
    "Request",
    "RequestError",
    "Route",
    "RoutingTable",
    "Shadow",
    "example",
    "percent",
    "redirect_loops",
    "shadows",
    "shares_of",
    "sticky_lag",
    "unreached",
    "warnings",
]
