"""Which variant answers a request: pure, no I/O."""

from abtest.routing.table import Row, routing_table

__all__ = ["Row", "routing_table"]
