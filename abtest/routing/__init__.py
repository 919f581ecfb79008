"""Which variant answers a request: pure, no I/O."""

from abtest.routing.request import Request, RequestError
from abtest.routing.table import Action, Decision, Route, RoutingTable, percent, shares_of

__all__ = ["Action", "Decision", "Request", "RequestError", "Route", "RoutingTable", "percent", "shares_of"]
