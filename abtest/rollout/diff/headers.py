"""Response headers that stay on the load balancer although the stack file no longer names them."""

from __future__ import annotations

from abtest.experiment.types import Listener

__all__ = ["kept_headers"]


def kept_headers(before: Listener, after: Listener) -> tuple[str, ...]:
    """The listener attributes that nobody takes back: to the provider a value that is gone is no change
    (hashicorp/terraform-provider-aws 42513). Another port is another listener, which has none of them.
    """
    was, now = before.response_headers, after.response_headers
    if was is None or before.listens_on != after.listens_on:
        return ()
    gone = [name for name in was.values if now is None or name not in now.values]
    return tuple(f"routing.http.response.{name}.header_value" for name in gone)
