"""A load balancer on localhost: serves what is deployed on the embedded AWS over real HTTP.

Which rule takes a request is decided by ``abtest.routing``. What AWS leaves open beyond that is decided here, marked
[open] where it stands:

- the group cookie's time runs from the choice and is not prolonged by later requests; a group at weight 0 keeps its
  clients until then; a cookie whose group is no longer in the forward is followed by a new choice;
- a target that has not been checked yet counts as unhealthy, and a group of such targets fails open;
- an answer that breaks off ends the client's connection with a reset;
- response headers are set in its own answers too, but for what was no request.

What it does not do: TLS and HTTP/2 (HTTPS listeners are served plain and say so in X-Forwarded-Proto), so a group of
HTTP/2 or gRPC answers 464 as it would to any HTTP/1.1 client; authentication, WAF, transforms, Lambda targets, target
stickiness, slow start, cross-zone settings; a group's protocol, and a health check's port and protocol (the backend's
are used).
What aiohttp reads no other way: methods that it does not know, and a second Host, Content-Type or User-Agent, are 400;
a request is lost if garbage comes in one piece with it; trailers are dropped; half-closed connections are closed.
"""

from abtest.local.balancer.access_log import AccessLog, Entry
from abtest.local.balancer.balancer import Balancer, PortError
from abtest.local.balancer.deployed import Deployed

__all__ = ["AccessLog", "Balancer", "Deployed", "Entry", "PortError"]
