"""Conditions and actions of a rule in the provider's shapes: plain translations, no resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from abtest.experiment.types import Redirect, Respond, When

if TYPE_CHECKING:
    import pulumi
    from pulumi_aws import lb

__all__ = ["conditions", "fixed_response", "forward", "header_condition", "redirect"]


def conditions(when: When) -> list[lb.ListenerRuleConditionArgsDict]:
    """One condition a key, and one a header or query name, in a fixed order."""
    found: list[lb.ListenerRuleConditionArgsDict] = []
    if when.path is not None:
        found.append({"path_pattern": {"values": list(when.path)}})
    if when.path_regex is not None:
        found.append({"path_pattern": {"regex_values": list(when.path_regex)}})
    if when.host is not None:
        found.append({"host_header": {"values": list(when.host)}})
    if when.host_regex is not None:
        found.append({"host_header": {"regex_values": list(when.host_regex)}})
    found += [header_condition(name, values) for name, values in (when.header or {}).items()]
    found += [
        {"http_header": {"http_header_name": name, "regex_values": list(values)}}
        for name, values in (when.header_regex or {}).items()
    ]
    found += [{"query_strings": _pairs(key, values)} for key, values in (when.query or {}).items()]
    if when.method is not None:
        found.append({"http_request_method": {"values": list(when.method)}})
    if when.source_ip is not None:
        found.append({"source_ip": {"values": list(when.source_ip)}})
    return found


def header_condition(name: str, values: Sequence[pulumi.Input[str]]) -> lb.ListenerRuleConditionArgsDict:
    """A header that has one of the values."""
    return {"http_header": {"http_header_name": name, "values": list(values)}}


def _pairs(key: str, values: Sequence[str]) -> list[lb.ListenerRuleConditionQueryStringArgsDict]:
    """The key ``*`` is any key, which AWS writes by leaving the key out."""
    if key == "*":
        return [{"value": value} for value in values]
    return [{"key": key, "value": value} for value in values]


def forward(
    weights: Mapping[str, int], arns: Mapping[str, pulumi.Input[str]], stickiness_seconds: int
) -> lb.ListenerRuleActionArgsDict:
    """A weighted forward. Stickiness is always written, with a legal duration even when it is off: a duration of 0
    never settles (hashicorp/terraform-provider-aws issue 15144), and a block left out would not switch it off: the
    provider ignores that difference (internal/service/elbv2/listener_rule.go).
    """
    return {
        "type": "forward",
        "forward": {
            "target_groups": [{"arn": arns[name], "weight": weight} for name, weight in sorted(weights.items())],
            "stickiness": {"enabled": stickiness_seconds > 0, "duration": stickiness_seconds or 1},
        },
    }


def redirect(to: Redirect) -> lb.ListenerRuleActionArgsDict:
    """A redirect; AWS keeps the parts that are not given."""
    args: lb.ListenerRuleActionRedirectArgsDict = {"status_code": f"HTTP_{to.status}"}
    if to.protocol is not None:
        args["protocol"] = to.protocol
    if to.host is not None:
        args["host"] = to.host
    if to.port is not None:
        args["port"] = str(to.port)
    if to.path is not None:
        args["path"] = to.path
    if to.query is not None:
        args["query"] = to.query
    return {"type": "redirect", "redirect": args}


def fixed_response(answer: Respond) -> lb.ListenerRuleActionArgsDict:
    """An answer of the load balancer itself."""
    args: lb.ListenerRuleActionFixedResponseArgsDict = {
        "content_type": answer.content_type,
        "status_code": str(answer.status),
    }
    if answer.body:
        args["message_body"] = answer.body
    return {"type": "fixed-response", "fixed_response": args}
