"""Checks between the keys of a config: what AWS refuses is an error, what it leaves open a warning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from abtest.experiment import Project, Source, load
from tests.configs import SERVICE, VARIANT, config, errors, problems, rule, variant

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"
HTTPS = {"certificateArn": CERTIFICATE}
LISTENER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/1/2"


def with_a(**changes: Any) -> dict[str, Any]:
    return config(variants={"a": variant(**changes), "b": VARIANT})


def with_rule(**changes: Any) -> dict[str, Any]:
    return config(rules={"r": rule(**changes)})


def when(**changes: Any) -> dict[str, Any]:
    return with_rule(when=changes)


def redirect(to: dict[str, Any], **more: Any) -> dict[str, Any]:
    return config(rules={"r": rule(forward=None, redirect=to)}, **more)


LAUNCH = {"launch": {"instanceType": "t3.small"}}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:ranker"


def launching(**launch: Any) -> dict[str, Any]:
    return with_a(targets={"launch": {"instanceType": "t3.small", **launch}})


def invoking(arn: str = f"{FUNCTION}:7", **more: Any) -> dict[str, Any]:
    return config(variants={"a": {"targets": {"lambdaArn": arn}, **more}, "b": VARIANT})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no variant": (config(variants={}), "abtest:variants: there is no variant; a stack needs at least one"),
    "no weight": (config(weights={}), "abtest:weights: there is no weight; a forward takes 1 to 5 variants"),
    "all weights zero": (config(weights={"a": 0, "b": 0}), "abtest:weights: all weights are 0, so no variant would answer"),
    "a rule's weights zero": (with_rule(forward={"a": 0}), "abtest:rules.r.forward: all weights are 0"),
    "unknown variant in weights": (config(weights={"c": 1}), "abtest:weights.c: there is no variant c; known here: a, b"),
    "unknown variant in a rule": (with_rule(forward={"c": 1}), "abtest:rules.r.forward.c: there is no variant c"),
    "unknown target of a rule": (with_rule(forward="spilt"), "abtest:rules.r.forward: there is no variant spilt; did you mean split?"),
    "unknown control": (config(control="c"), "abtest:control: there is no variant c; known here: a, b"),
    "a variant called split": (
        config(weights={"split": 1}, variants={"split": VARIANT}),
        "abtest:variants.split: split is the name of the main split in rules; call the variant something else",
    ),
    "timeout equal to interval": (
        with_a(healthCheck={"intervalSeconds": 5, "timeoutSeconds": 5}),
        "abtest:variants.a.healthCheck.timeoutSeconds: 5 s is not below the interval of 5 s",
    ),
    "matcher out of range": (with_a(healthCheck={"matcher": "200-500"}), "abtest:variants.a.healthCheck.matcher: 500 is not within 200 to 499"),
    "matcher for gRPC": (
        config(variants={"a": variant(protocolVersion="GRPC", healthCheck={"matcher": "200"}), "b": VARIANT}, listener=HTTPS),
        "abtest:variants.a.healthCheck.matcher: 200 is not within 0 to 99",
    ),
    "matcher backwards": (with_a(healthCheck={"matcher": "200,299-201"}), 'abtest:variants.a.healthCheck.matcher: "299-201" ends before it starts; write "201-299"'),
    "matcher of several ranges out of range": (
        with_a(healthCheck={"matcher": "200-202,400-504"}), "abtest:variants.a.healthCheck.matcher: 504 is not within 200 to 499"
    ),
    "matcher with spaces": (
        with_a(healthCheck={"matcher": "200, 301"}), 'abtest:variants.a.healthCheck.matcher: "200, 301" is not a valid matcher: expected status codes and ranges such as "200", "200,202" or "200-299,301" (API Matcher); write "200,301"'
    ),
    "matcher with the dash of AWS's guide": (
        with_a(healthCheck={"matcher": "200\N{EN DASH}399"}), 'abtest:variants.a.healthCheck.matcher: "200\N{EN DASH}399" is not a valid matcher: expected status codes and ranges such as "200", "200,202" or "200-299,301" (API Matcher); write "200-399"'
    ),
    "matcher with a range of three": (
        with_a(healthCheck={"matcher": "200-299-301"}), 'abtest:variants.a.healthCheck.matcher: "200-299-301" is not a valid matcher: expected status codes'
    ),
    "GRPC without HTTPS": (with_a(protocolVersion="GRPC"), "abtest:variants.a.protocolVersion: GRPC needs an HTTPS listener"),
    "HTTP2 without HTTPS": (with_a(protocolVersion="HTTP2"), "abtest:variants.a.protocolVersion: HTTP2 needs an HTTPS listener"),
    "slow start too short": (
        with_a(slowStartSeconds=29, loadBalancing="round_robin"),
        "abtest:variants.a.slowStartSeconds: 29 is below 30; slow start is 0 (off) or 30 to 900 seconds",
    ),
    "slow start with the wrong algorithm": (
        with_a(slowStartSeconds=30), "abtest:variants.a.slowStartSeconds: slow start needs loadBalancing: round_robin",
    ),
    "min alone": (launching(min=2), "abtest:variants.a.targets.launch: min is given without max; an Auto Scaling group has both"),
    "max alone": (launching(max=2), "abtest:variants.a.targets.launch: max is given without min"),
    "min over max": (
        launching(min=3, max=2, requestsPerTarget=100),
        "abtest:variants.a.targets.launch.min: 3 is above the max of 2; lower it, or raise max",
    ),
    "count beside min and max": (
        launching(min=2, max=2, count=2), "abtest:variants.a.targets.launch.count: 2 is for a fixed number of instances; remove it",
    ),
    "nothing to scale by": (
        launching(min=1, max=2), "abtest:variants.a.targets.launch: nothing would scale it between 1 and 2; give requestsPerTarget",
    ),
    "something to scale by and nothing that scales": (
        launching(requestsPerTarget=100),
        "abtest:variants.a.targets.launch.requestsPerTarget: 100 is for an Auto Scaling group; give min and max too",
    ),
    "a grace period of single instances": (
        launching(healthCheckGraceSeconds=60), "abtest:variants.a.targets.launch.healthCheckGraceSeconds: 60 is for an Auto Scaling group",
    ),
    "no instance at all": (launching(min=0, max=1), "abtest:variants.a.targets.launch.min: 0 is below 1"),
    "too many instances": (launching(min=1, max=1001), "abtest:variants.a.targets.launch.max: 1001 is over 1000"),
    "no request of an instance": (
        launching(min=1, max=2, requestsPerTarget=0), "abtest:variants.a.targets.launch.requestsPerTarget: 0 is below 1",
    ),
    "no function": (invoking("ranker"), "abtest:variants.a.targets.lambdaArn: "),
    "a function with a port": (
        invoking(port=8080),
        "abtest:variants.a.port: a Lambda function has no port (API CreateTargetGroup); take port out",
    ),
    "a function that is a server": (invoking(serving="vllm"), "abtest:variants.a.serving: a Lambda function has no port"),
    "a function by HTTPS": (invoking(protocol="HTTPS"), "abtest:variants.a.protocol: a Lambda function is invoked without a protocol"),
    "a function by gRPC": (invoking(protocolVersion="GRPC"), "abtest:variants.a.protocolVersion: a Lambda function is invoked without"),
    "a function to choose from": (
        invoking(loadBalancing="round_robin"), "abtest:variants.a.loadBalancing: a Lambda function is the one target of its group",
    ),
    "a function with anomalies": (
        invoking(anomalyMitigation=True), "abtest:variants.a.anomalyMitigation: a Lambda function is the one target",
    ),
    "a function that drains": (
        invoking(deregistrationDelaySeconds=5), "abtest:variants.a.deregistrationDelaySeconds: a Lambda function has no such attribute",
    ),
    "a function that starts slowly": (
        invoking(slowStartSeconds=5), "abtest:variants.a.slowStartSeconds: a Lambda function has no such attribute",
    ),
    "a function that is checked on a port": (
        invoking(healthCheck={"port": 80}), "abtest:variants.a.healthCheck.port: a Lambda function has no port",
    ),
    "a function that is checked by a protocol": (
        invoking(healthCheck={"protocol": "HTTP"}), "abtest:variants.a.healthCheck.protocol: a Lambda function is invoked without",
    ),
    "a function elsewhere": (
        invoking(f"{FUNCTION.replace('us-east-1', 'eu-west-1')}:7"),
        "abtest:variants.a.targets.lambdaArn: the function is in eu-west-1, the stack in us-east-1; it must be in the load balancer's region",
    ),
    "a function that nobody may be let invoke": (
        invoking(f"{FUNCTION}:$LATEST"), "abtest:variants.a.targets.lambdaArn: AWS does not allow a permission to invoke $LATEST",
    ),
    "more healthy targets than a function is": (
        invoking() | {"abtest:control": "b", "abtest:guardrails": {"minHealthy": 2}},
        "abtest:guardrails.minHealthy: 2 is more than the targets of a, at most 1, so a could never gain share; take 1",
    ),
    "more healthy targets than are started": (
        launching(count=2) | {"abtest:control": "b", "abtest:guardrails": {"minHealthy": 3}},
        "abtest:guardrails.minHealthy: 3 is more than the targets of a, at most 2, so a could never gain share; take 2 or less",
    ),
    "more healthy targets than a group can have": (
        launching(min=1, max=3, requestsPerTarget=9) | {"abtest:control": "b", "abtest:guardrails": {"minHealthy": 4}},
        "abtest:guardrails.minHealthy: 4 is more than the targets of a, at most 3",
    ),
    "more healthy targets than are named": (
        with_a(targets={"ipAddresses": ["10.0.0.1"]}) | {"abtest:control": "b", "abtest:guardrails": {"minHealthy": 2}},
        "abtest:guardrails.minHealthy: 2 is more than the targets of a, at most 1",
    ),
    "more healthy targets than tasks": (
        config(variants={"a": VARIANT, "b": SERVICE}, guardrails={"minHealthy": 2}),
        "abtest:guardrails.minHealthy: 2 is more than the targets of b, at most 1",
    ),
    "more healthy targets than the variant with the fewest has": (
        config(
            variants={
                "a": VARIANT,
                "b": variant(targets={"instanceIds": ["i-0a", "i-0b"]}),
                "c": variant(targets={"instanceIds": ["i-0c"]}),
            },
            guardrails={"minHealthy": 3},
        ),
        "abtest:guardrails.minHealthy: 3 is more than the targets of c, at most 1",
    ),
    "no targets": (with_a(targets={}), "abtest:variants.a.targets: nothing is given; give exactly one of launch, instanceIds"),
    "two targets": (
        with_a(targets={"external": "ip", **LAUNCH}),
        "abtest:variants.a.targets: launch and external are given; give exactly one of",
    ),
    "an empty list of targets": (with_a(targets={"instanceIds": []}), "abtest:variants.a.targets.instanceIds: is empty, so nothing would answer"),
    "a target twice": (
        with_a(targets={"instanceIds": ["i-0a", "i-0a"]}), "abtest:variants.a.targets.instanceIds[1]: i-0a is listed twice; remove one",
    ),
    "no address": (with_a(targets={"ipAddresses": ["10.0.0.1:80"]}), 'abtest:variants.a.targets.ipAddresses[0]: "10.0.0.1:80" is not a valid IP address'),
    "a loopback target": (with_a(targets={"ipAddresses": ["127.0.0.1"]}), "abtest:variants.a.targets.ipAddresses[0]: 127.0.0.1 cannot be a target"),
    "addresses of two versions": (
        with_a(targets={"ipAddresses": ["10.0.0.1", "fd00::1"]}),
        "abtest:variants.a.targets.ipAddresses: IPv4 and IPv6 addresses cannot share a target group",
    ),
    "IPv6 targets without dualstack": (
        with_a(targets={"ipAddresses": ["fd00::1"]}), "abtest:variants.a.targets.ipAddresses: IPv6 targets need abtest:network.ipAddressType",
    ),
    "the sample server with HTTPS": (
        with_a(targets=LAUNCH, protocol="HTTPS"),
        "abtest:variants.a.targets.launch: the sample model server speaks HTTP/1.1 on port 8080 alone, this variant asks for protocol HTTPS",
    ),
    "the sample server with another health port": (
        with_a(targets=LAUNCH, healthCheck={"port": 9090}), "abtest:variants.a.targets.launch: the sample model server speaks",
    ),
    "a missing user data file": (
        with_a(targets={"launch": {"instanceType": "t3.small", "userDataFile": "gone.sh"}}),
        "abtest:variants.a.targets.launch.userDataFile: gone.sh cannot be read from the project folder: No such file or directory",
    ),
    "an empty when": (when(), "abtest:rules.r.when: has no condition, so it would match every request"),
    "an empty list of values": (when(path=[], method=["GET"]), "abtest:rules.r.when.path: has no value; list at least one"),
    "an empty header mapping": (when(header={}, method=["GET"]), "abtest:rules.r.when.header: has no value"),
    "a path by patterns and by regex": (
        when(path=["/x"], pathRegex=["^/y$"]), "abtest:rules.r.when.pathRegex: stands beside path; a rule has one path condition",
    ),
    "a host by patterns and by regex": (when(host=["a.b"], hostRegex=["^c$"]), "abtest:rules.r.when.hostRegex: stands beside host"),
    "a host without a dot": (when(host=["localhost"]), 'abtest:rules.r.when.host[0]: "localhost" has no "."; a host pattern needs one'),
    "an address as host": (when(host=["10.0.0.1"]), 'abtest:rules.r.when.host[0]: "10.0.0.1": only letters may follow the last "."'),
    "Host as a header": (when(header={"host": ["a.b"]}), "abtest:rules.r.when.header.host: Host is not a header condition; use host"),
    "Host as a header regex": (when(headerRegex={"HOST": ["^a$"]}), "abtest:rules.r.when.headerRegex.HOST: Host is not a header condition"),
    "no CIDR": (when(sourceIp=["10.0.0"]), 'abtest:rules.r.when.sourceIp[0]: "10.0.0" is not a valid CIDR block; write one such as 10.0.0.0/16'),
    "a CIDR without prefix": (when(sourceIp=["10.0.0.1"]), "abtest:rules.r.when.sourceIp[0]: 10.0.0.1 has no prefix; for one address write 10.0.0.1/32"),
    "an IPv6 CIDR without prefix": (when(sourceIp=["2001:db8::1"]), "abtest:rules.r.when.sourceIp[0]: 2001:db8::1 has no prefix; for one address write 2001:db8::1/128"),
    "host bits": (when(sourceIp=["10.0.0.1/24"]), "abtest:rules.r.when.sourceIp[0]: 10.0.0.1/24 has host bits set; for that block write 10.0.0.0/24"),
    "the broadcast address": (when(sourceIp=["255.255.255.255/32"]), "abtest:rules.r.when.sourceIp[0]: 255.255.255.255/32 is refused by AWS"),
    "lookahead": (when(pathRegex=["^(?=a)$"]), 'abtest:rules.r.when.pathRegex[0]: "^(?=a)$" has lookaround, which AWS does not support'),
    "lookbehind": (when(pathRegex=["^(?<!a)$"]), 'abtest:rules.r.when.pathRegex[0]: "^(?<!a)$" has lookaround'),
    "a backreference": (when(hostRegex=[r"^(a)\1$"]), 'abtest:rules.r.when.hostRegex[0]: "^(a)\\1$" has a backreference'),
    "an atomic group": (when(pathRegex=["^(?>a)$"]), 'abtest:rules.r.when.pathRegex[0]: "^(?>a)$" has an atomic group'),
    "a huge repetition": (when(pathRegex=["^a{99999999999}$"]), 'abtest:rules.r.when.pathRegex[0]: "^a{99999999999}$" is not a valid regular expression: a repetition is too large'),
    "a possessive quantifier": (when(pathRegex=["^a++$"]), 'abtest:rules.r.when.pathRegex[0]: "^a++$" has a possessive quantifier'),
    "a unicode class": (when(pathRegex=[r"^\p{L}$"]), 'abtest:rules.r.when.pathRegex[0]: "^\\p{L}$" has \\p{…}'),
    "a named backreference": (when(pathRegex=["^(?P<x>a)(?P=x)$"]), 'abtest:rules.r.when.pathRegex[0]: "^(?P<x>a)(?P=x)$" has a backreference'),
    "a condition in a regex": (when(pathRegex=["^(a)?(?(1)b|c)$"]), 'abtest:rules.r.when.pathRegex[0]: "^(a)?(?(1)b|c)$" has a condition'),
    "a netmask": (when(sourceIp=["10.0.0.0/255.0.0.0"]), 'abtest:rules.r.when.sourceIp[0]: "10.0.0.0/255.0.0.0" is not a valid CIDR block'),
    "a scope": (config(network={"ingressCidrs": ["fe80::%1/64"]}), 'abtest:network.ingressCidrs[0]: "fe80::%1/64" is not a valid CIDR block'),
    "the same block in other words": (
        config(network={"ingressCidrs": ["::/0", "0::/0"]}), "abtest:network.ingressCidrs[1]: 0::/0 is listed twice; remove one",
    ),
    "the same address in other words": (
        config(
            variants={"a": variant(targets={"ipAddresses": ["fd00::1", "fd00:0::1"]}), "b": VARIANT},
            network={"ipAddressType": "dualstack", "ingressCidrs": ["::/0"]},
        ),
        "abtest:variants.a.targets.ipAddresses[1]: fd00:0::1 is listed twice",
    ),
    "wildcards in query keys": (
        when(query={"a****": ["*"], "b***": ["*"]}), "abtest:rules.r.when: 9 wildcards (* and ?), at most 6 are allowed in a rule",
    ),
    "an internal load balancer with public IPv6": (
        config(network={"internal": True, "ipAddressType": "dualstack-without-public-ipv4", "ingressCidrs": ["::/0"]}),
        "abtest:network.ipAddressType: dualstack-without-public-ipv4 does not go with internal: true",
    ),
    "a preset without a port of gRPC": (
        config(variants={"a": {"serving": "vllm", "protocolVersion": "GRPC", "targets": {"external": "ip"}}, "b": VARIANT}, listener=HTTPS),
        "abtest:variants.a.port: missing; for vllm no port of gRPC is documented, so give the one that it listens on",
    ),
    "a preset for a function": (
        config(variants={"a": {"serving": "mlflow", "targets": {"lambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:f"}}, "b": VARIANT}),
        "abtest:variants.a.serving: a Lambda function has no port",
    ),
    "anomaly mitigation with another algorithm": (
        with_a(anomalyMitigation=True),
        "abtest:variants.a.anomalyMitigation: needs loadBalancing: weighted_random, this variant has least_outstanding_requests",
    ),
    "further certificates without a default one": (
        config(listener={"certificateArns": [CERTIFICATE]}), "abtest:listener.certificateArns: needs certificateArn, the one for clients that ask for no name",
    ),
    "a further certificate that is the default one": (
        config(listener=HTTPS | {"certificateArns": [CERTIFICATE]}), "abtest:listener.certificateArns[0]: is certificateArn already; list only the additional ones",
    ),
    "a further certificate twice": (
        config(listener=HTTPS | {"certificateArns": [CERTIFICATE + "2", CERTIFICATE + "2"]}), "abtest:listener.certificateArns[1]: " + CERTIFICATE + "2 is listed twice",
    ),
    "a further certificate in another region": (
        config(listener=HTTPS | {"certificateArns": ["arn:aws:acm:eu-west-1:123456789012:certificate/2"]}),
        "abtest:listener.certificateArns[0]: the certificate is in eu-west-1, the stack in us-east-1",
    ),
    "a web ACL in another region": (
        config(waf={"webAclArn": "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/main/1-2"}),
        "abtest:waf.webAclArn: the web ACL is in eu-west-1, the stack in us-east-1; it must be in the load balancer's region",
    ),
    "a web ACL of CloudFront": (
        config(waf={"webAclArn": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/main/1-2"}), 'abtest:waf.webAclArn: "arn:aws:wafv2:us-east-1:1',
    ),
    "a root volume too small for the default image": (
        with_a(targets={"launch": {"instanceType": "t3.small", "rootVolumeGb": 7}}),
        "abtest:variants.a.targets.launch.rootVolumeGb: 7 is below 8 GiB, the size of the default image",
    ),
    "too many target groups": (
        config(variants={f"v{n}": VARIANT for n in range(101)}, weights={"v0": 1}),
        "abtest:variants: 101 variants, but a load balancer has at most 100 target groups",
    ),
    "no regular expression": (when(pathRegex=["^(a$"]), 'abtest:rules.r.when.pathRegex[0]: "^(a$" is not a valid regular expression: missing )'),
    "no action": (with_rule(forward=None), "abtest:rules.r: there is no action; a rule has exactly one of forward, redirect, respond"),
    "two actions": (
        with_rule(redirect={"path": "/y"}), "abtest:rules.r: forward and redirect are given; a rule has exactly one of",
    ),
    "a priority twice": (
        config(rules={"r": rule(), "s": rule()}), "abtest:rules.s.priority: 10 is taken by the rule r; priorities are unique",
    ),
    "a priority of the override": (
        config(rules={"r": rule(priority=2)}, override={}),
        "abtest:rules.r.priority: 2 is taken by abtest:override, which uses 1 to 2 (variant b); take 3 or more",
    ),
    "a redirect to itself": (redirect({"query": "x"}), "abtest:rules.r.redirect: leads back to where it came from, a loop"),
    "a redirect that only repeats": (
        redirect({"protocol": "HTTP", "port": 80, "host": "#{host}", "path": "/#{path}"}), "abtest:rules.r.redirect: leads back",
    ),
    "a redirect from HTTPS to HTTP": (
        redirect({"protocol": "HTTP"}, listener=HTTPS), "abtest:rules.r.redirect.protocol: a redirect cannot lead from HTTPS to HTTP",
    ),
    "a placeholder twice": (
        redirect({"path": "/#{host}/#{host}"}), "abtest:rules.r.redirect.path: #{host} is used more than once; each may be used once",
    ),
    "a port as text over the limit": (redirect({"port": "65536"}), "abtest:rules.r.redirect.port: 65536 is over 65535"),
    "a fixed response of 3xx": (
        with_rule(forward=None, respond={"status": 302}),
        "abtest:rules.r.respond.status: 302 is not a status for a fixed response: 2xx, 4xx or 5xx",
    ),
    "a VPC by id and by tags": (config(network={"vpcId": "vpc-1", "vpcTags": {"a": "b"}}), "abtest:network.vpcTags: stands beside vpcId"),
    "subnets by id and by tags": (
        config(network={"subnetIds": ["subnet-1", "subnet-2"], "subnetTags": {"a": "b"}}), "abtest:network.subnetTags: stands beside subnetIds",
    ),
    "no tags to look for": (config(network={"vpcTags": {}}), "abtest:network.vpcTags: names no tag, so it would find everything"),
    "one subnet": (config(network={"subnetIds": ["subnet-1"]}), "abtest:network.subnetIds: 1 subnet, but a load balancer needs at least 2, in different availability zones"),
    "a subnet twice": (config(network={"subnetIds": ["subnet-1", "subnet-1"]}), "abtest:network.subnetIds[1]: subnet-1 is listed twice; remove one"),
    "nobody admitted": (config(network={"ingressCidrs": []}), "abtest:network.ingressCidrs: is empty, so no client could reach the load balancer"),
    "ingress with host bits": (config(network={"ingressCidrs": ["10.0.0.1/8"]}), "abtest:network.ingressCidrs[0]: 10.0.0.1/8 has host bits set"),
    "ingress twice": (
        config(network={"ingressCidrs": ["10.0.0.0/8", "10.0.0.0/8"]}), "abtest:network.ingressCidrs[1]: 10.0.0.0/8 is listed twice; remove one",
    ),
    "443 without a certificate": (config(listener={"port": 443}), "abtest:listener.port: 443 without certificateArn would serve plain HTTP"),
    "80 with a certificate": (config(listener={**HTTPS, "port": 80}), "abtest:listener.port: 80 with certificateArn would serve HTTPS"),
    "a policy without a certificate": (
        config(listener={"sslPolicy": "ELBSecurityPolicy-2016-08"}), "abtest:listener.sslPolicy: needs certificateArn",
    ),
    "a redirect without a certificate": (config(listener={"redirectHttp": True}), "abtest:listener.redirectHttp: needs certificateArn"),
    "a certificate elsewhere": (
        config(listener={"certificateArn": CERTIFICATE.replace("us-east-1", "eu-west-1")}),
        "abtest:listener.certificateArn: the certificate is in eu-west-1, the stack in us-east-1",
    ),
    "Host as the override's header": (config(override={"header": "Host"}), "abtest:override.header: Host is not a header condition"),
    "a name outside its zone": (
        config(dns={"zone": "example.com", "name": "models.example.org"}),
        "abtest:dns.name: models.example.org is not in the zone example.com; it must end with .example.com",
    ),
    "a name that only looks like its zone": (
        config(dns={"zone": "example.com", "name": "badexample.com"}), "abtest:dns.name: badexample.com is not in the zone example.com",
    ),
    "a weight without an identifier": (
        config(dns={"zone": "example.com", "name": "example.com", "weight": 1}), "abtest:dns: setIdentifier is missing; a weighted record has",
    ),
    "a topic in another region": (
        config(alarms={"snsTopicArn": "arn:aws:sns:eu-west-1:123456789012:on-call"}),
        "abtest:alarms.snsTopicArn: the topic is in eu-west-1, the stack in us-east-1; an alarm only notifies topics of its own region",
    ),
    "an identifier without a weight": (
        config(dns={"zone": "example.com", "name": "example.com", "setIdentifier": "x"}), "abtest:dns: weight is missing; a weighted record has",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_place_value_limit_and_remedy(name: str) -> None:
    keys, message = REFUSED[name]
    found = errors(keys)
    assert len(found) == 1, found
    assert found[0].startswith(message), found


DOUBTED: dict[str, tuple[dict[str, Any], str]] = {
    "a function whose model may change": (
        invoking(FUNCTION), f"warning: abtest:variants.a.targets.lambdaArn: without a version or an alias, the model changes under the experiment with every update of the function; name one, such as {FUNCTION}:1",
    ),
    "a function twice": (
        config(variants={name: {"targets": {"lambdaArn": f"{FUNCTION}:7"}} for name in "ab"}),
        f"warning: abtest:variants.b.targets: {FUNCTION}:7 answers for a too, so the two cannot be told apart",
    ),
    "the same target in two variants": (
        config(variants={name: variant(targets={"instanceIds": ["i-0a"]}) for name in "ab"}),
        "warning: abtest:variants.b.targets: i-0a port 8080 answers for a too, so the two cannot be told apart",
    ),
    "a public address": (
        with_a(targets={"ipAddresses": ["8.8.8.8"]}),
        "warning: abtest:variants.a.targets.ipAddresses[0]: 8.8.8.8 is in no private range; AWS takes it only from a block of the VPC",
    ),
    "a status that a matcher repeats": (
        with_a(healthCheck={"matcher": "200-299,250"}), "warning: abtest:variants.a.healthCheck.matcher: 250 repeats a status that is already in 200-299,250",
    ),
    "a control that was left behind": (
        config(weights={"a": 0, "b": 1}),
        "warning: abtest:control: a has no new clients, but `abtest rollback` sends all of them back to it",
    ),
    "a regex without anchors": (when(pathRegex=["/a"]), 'warning: abtest:rules.r.when.pathRegex[0]: "/a" is not anchored'),
    "a regex in another dialect": (when(pathRegex=[r"^\h$"]), 'warning: abtest:rules.r.when.pathRegex[0]: "^\\h$" cannot be judged here: invalid escape sequence: \\h'),
    "a regex whose repetition RE2 refuses": (when(pathRegex=["^a{1001}$"]), 'warning: abtest:rules.r.when.pathRegex[0]: "^a{1001}$" cannot be judged here: invalid repetition size: {1001}'),
    "a regex that repeats itself": (when(pathRegex=["^/(a+)+$"]), 'warning: abtest:rules.r.when.pathRegex[0]: "^/(a+)+$" repeats a group of which every part may repeat: AWS does not name its engine, and some take very long over that; repeat once'),
    "a path that no path meets": (when(path=["v2/*"]), 'warning: abtest:rules.r.when.path[0]: "v2/*" never matches: every path starts with "/"'),
    "a token in the clear": (config(override={}), "warning: abtest:override.secret: the token travels in the clear on a plain HTTP listener"),
    "a wildcard in the last label": (when(host=["example.*"]), 'warning: abtest:rules.r.when.host[0]: "example.*": AWS does not say'),
    "an encoded query value": (when(query={"m": ["a%20b"]}), 'warning: abtest:rules.r.when.query.m[0]: "a%20b" holds "%"'),
    "a header that is dropped": (when(header={"X_Model": ["b"]}), "warning: abtest:rules.r.when.header.X_Model: the load balancer drops"),
    "a redirect to HTTPS on port 80": (redirect({"protocol": "HTTPS"}), "warning: abtest:rules.r.redirect: keeps port 80 when it goes to HTTPS; add port: 443"),
    "a sample in which one failure is too much": (
        config(alarms={"maxErrorRate": 0.003}),
        "warning: abtest:alarms.minRequests: of 100 requests a single failed one is 1 %, over maxErrorRate 0.003; take 334 or more",
    ),
    "a limit that the load balancer does not wait for": (
        config(alarms={"maxP99Seconds": 60}),
        "warning: abtest:alarms.maxP99Seconds: 60 s is not below idleTimeoutSeconds 60, so the load balancer gives up",
    ),
    "an internal load balancer with IPv6": (
        config(network={"internal": True, "ipAddressType": "dualstack", "ingressCidrs": ["::/0"]}),
        "warning: abtest:network.ipAddressType: AWS may refuse dualstack with internal: true",
    ),
    "anomaly mitigation for too few targets": (
        with_a(anomalyMitigation=True, loadBalancing="weighted_random", targets={"instanceIds": ["i-0a", "i-0b"]}),
        "warning: abtest:variants.a.anomalyMitigation: does nothing for 2 targets: anomalies are looked for among 3 healthy ones or more",
    ),
    "HSTS over plain HTTP": (
        config(listener={"responseHeaders": {"strictTransportSecurity": "max-age=300"}}),
        "warning: abtest:listener.responseHeaders.strictTransportSecurity: browsers only honor it over HTTPS (RFC 6797, section 8.1)",
    ),
    "credentials for everybody": (
        config(listener={"responseHeaders": {"accessControlAllowOrigin": "*", "accessControlAllowCredentials": True}}),
        "warning: abtest:listener.responseHeaders.accessControlAllowOrigin: is not a wildcard with accessControlAllowCredentials",
    ),
    "more certificates than the quota": (
        config(listener=HTTPS | {"certificateArns": [f"{CERTIFICATE}{n}" for n in range(26)]}),
        "warning: abtest:listener.certificateArns: 26 certificates, but a load balancer has 25 besides its default ones",
    ),
    "a preset that is not started": (
        with_a(serving="mlflow", targets={"launch": {"instanceType": "t3.small"}}),
        "warning: abtest:variants.a.serving: the instances start the sample model server, not mlflow; give targets.launch.userDataFile",
    ),
    "a stream of tokens behind the default idle timeout": (
        with_a(serving="vllm"),
        "warning: abtest:idleTimeoutSeconds: after 60 s without a byte the load balancer ends an answer, also one that "
        "vllm of variant a streams or has not begun; write abtest:idleTimeoutSeconds: 300, for example",
    ),
    "dualstack without IPv6 clients": (
        config(network={"ipAddressType": "dualstack"}), "warning: abtest:network.ingressCidrs: admits no IPv6 client",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTED)
def test_what_aws_leaves_open_or_may_be_a_mistake_is_a_warning(name: str) -> None:
    keys, message = DOUBTED[name]
    found = problems(keys)
    assert len(found) == 1, found
    assert found[0].startswith(message), found


@pytest.mark.parametrize(
    "keys",
    [
        config(rules={"r": rule(priority=1)}),
        redirect({"protocol": "HTTPS", "port": 443}),
        redirect({"host": "b.example.com"}),
        redirect({"port": "#{port}", "path": "/v2/#{path}"}, listener=HTTPS),
        with_a(targets={"ipAddresses": ["10.0.0.1", "100.64.0.9", "192.168.1.1"]}),
        with_a(slowStartSeconds=30, loadBalancing="round_robin"),
        with_a(anomalyMitigation=True, loadBalancing="weighted_random"),
        config(listener=HTTPS | {"certificateArns": ["arn:aws:iam::123456789012:server-certificate/x"]}),
        config(listener=HTTPS | {"responseHeaders": {"accessControlAllowOrigin": "https://a.example.com", "accessControlAllowCredentials": True}}),
        config(listener={"responseHeaders": {}}),
        config(network={"ipAddressType": "dualstack-without-public-ipv4", "ingressCidrs": ["::/0"]}),
        with_a(healthCheck={"intervalSeconds": 6, "timeoutSeconds": 5, "matcher": "200,204,301"}),
        with_a(healthCheck={"matcher": "200-299,301"}),
        with_a(healthCheck={"matcher": "200-202,400-404"}),
        config(variants={"a": variant(protocolVersion="GRPC", healthCheck={"matcher": "0-5,12"}), "b": VARIANT}, listener=HTTPS),
        when(sourceIp=["0.0.0.0/0", "2001:db8::/32"]),
        when(pathRegex=[r"^a\++$", "^[*+]+$", r"^/a\(?=b$", "^[[:alpha:]]+$", "^(?P<x>a)$"]),
        config(dns={"zone": "internal", "name": "m.internal", "privateZone": True}),
        config(alarms={}),
        config(alarms={"maxErrorRate": 0, "minRequests": 1, "snsTopicArn": "arn:aws:sns:us-east-1:123456789012:a"}),
        with_a(targets={"launch": {"instanceType": "t3.small", "ami": "ami-0abc", "rootVolumeGb": 2}}),
        launching(min=2, max=2),
        launching(min=1, max=3, requestsPerTarget=100, healthCheckGraceSeconds=0, publicIp=True),
        invoking(),
        invoking(protocol="HTTP", healthCheck={"path": "/ok", "intervalSeconds": 300}),
        invoking(f"{FUNCTION}:live") | {"abtest:guardrails": {"minHealthy": 2}},
        launching() | {"abtest:control": "b", "abtest:guardrails": {"minHealthy": 2, "requireHealthy": False}},
        launching(min=1, max=2, requestsPerTarget=9) | {"abtest:control": "b", "abtest:guardrails": {"minHealthy": 2}},
        when(header={"X-A": ["b"], "x-a": ["c"]}, method=["GET", "HEAD"]),
        config(dns={"zone": "Example.com.", "name": "models.example.com", "weight": 0, "setIdentifier": "blue"}),
        config(variants={n: variant(port=p, targets={"instanceIds": ["i-0a"]}) for n, p in (("a", 80), ("b", 81))}),
    ],
)  # fmt: skip
def test_what_aws_takes_is_taken_without_a_word(keys: dict[str, Any]) -> None:
    assert problems(keys) == []


@pytest.mark.parametrize(("size", "fine"), [(16_384, True), (16_385, False)])
def test_user_data_has_at_most_16_kib(tmp_path: Path, size: int, fine: bool) -> None:  # noqa: FBT001
    (tmp_path / "start.sh").write_text("#!" + "#" * (size - 2))
    keys = with_a(targets={"launch": {"instanceType": "t3.small", "userDataFile": "start.sh"}})
    found = errors(keys, tmp_path)
    assert (found == []) is fine
    assert fine or "start.sh has 16385 bytes, at most 16384 are allowed" in found[0]


@pytest.mark.parametrize(
    ("content", "why"), [(b"\xff\xfe", "it is not UTF-8 text"), (b" \n", "is empty, so no model server")]
)
def test_user_data_is_a_script(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "start.sh").write_bytes(content)
    keys = with_a(targets={"launch": {"instanceType": "t3.small", "userDataFile": "start.sh"}})
    assert why in errors(keys, tmp_path)[0]


def test_a_script_that_cloud_init_would_not_run_is_doubted(tmp_path: Path) -> None:
    (tmp_path / "start.sh").write_text("exec model\n")
    keys = with_a(targets={"launch": {"instanceType": "t3.small", "userDataFile": "start.sh"}})
    (warning,) = problems(keys, tmp_path)
    assert "start.sh starts with neither #! nor #cloud-config, so cloud-init would not run it" in warning


def test_one_mistake_does_not_bring_up_others_that_follow_from_it() -> None:
    keys = config(
        variants={"a": {"port": "x", "targets": {"launch": {}}}, "b": []}, rules={"r": rule(when="x", forward="b")}
    )
    assert errors(keys) == [
        'abtest:rules.r.when: expected a mapping, got the text "x"',
        'abtest:variants.a.port: expected a whole number (1 to 65535), got the text "x"',
        "abtest:variants.a.targets.launch.instanceType: missing; it has no default",
        "abtest:variants.b: expected a mapping, got the list []",
    ]


def of_a(keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    return config(variants={"a": keys, "b": VARIANT}, **more)


#: What is wrong -> the one error that says so, and nothing of what follows from it.
ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "a size that does not go with no cpu": (
        of_a({"port": 80, "targets": {"ecs": SERVICE["targets"]["ecs"] | {"cpu": 300, "memory": 4096}}}),
        "abtest:variants.a.targets.ecs.cpu: expected one of 256, ",
    ),
    "the sample server asked for no version": (
        with_a(targets=LAUNCH, protocolVersion="http2"), 'abtest:variants.a.protocolVersion: expected one of GRPC, HTTP1, HTTP2, got the text "http2"',
    ),
    "the sample server asked on no port": (
        with_a(targets=LAUNCH, healthCheck={"port": "x"}), "abtest:variants.a.healthCheck.port: expected a whole number or traffic-port",
    ),
    "the sample server without a port": (
        of_a({"targets": LAUNCH, "protocolVersion": "GRPC"}, listener=HTTPS), "abtest:variants.a.port: missing; give the port",
    ),
    "a preset of no version": (
        of_a({"serving": "vllm", "protocolVersion": "http2", "targets": {"external": "ip"}}), "abtest:variants.a.protocolVersion: expected one of",
    ),
    "a misspelt wish to scale": (
        launching(min=2, max=8, requestPerTarget=600),
        "abtest:variants.a.targets.launch.requestPerTarget: there is no such key; did you mean requestsPerTarget?",
    ),
    "a misspelt end of scaling": (
        launching(min=2, maxx=8, requestsPerTarget=600), "abtest:variants.a.targets.launch.maxx: there is no such key; did you mean max?",
    ),
    "a misspelt function": (
        of_a({"targets": {"lambdaARN": FUNCTION}}), "abtest:variants.a.targets.lambdaARN: there is no such key; did you mean lambdaArn?",
    ),
    "a misspelt port": (
        of_a({"prot": 80, "targets": {"external": "ip"}}), "abtest:variants.a.prot: there is no such key; did you mean port?",
    ),
    "misspelt targets": (of_a({"port": 80, "targts": LAUNCH}), "abtest:variants.a.targts: there is no such key; did you mean targets?"),
    "misspelt weights": (config(weights=None, wieghts={"a": 1}), "abtest:wieghts: there is no such key; did you mean weights?"),
    "a misspelt cpu": (
        of_a({"port": 80, "targets": {"ecs": {"image": "model:1", "cpus": 1024, "memory": 4096}}}),
        "abtest:variants.a.targets.ecs.cpus: there is no such key; did you mean cpu?",
    ),
    "a misspelt priority": (
        config(listener={"arn": LISTENER, "split": {"prio": 200, "when": {"path": ["/x"]}}}),
        "abtest:listener.split.prio: there is no such key; did you mean priority?",
    ),
    "a matcher of no version": (
        with_a(protocolVersion="http2", healthCheck={"matcher": "200"}), "abtest:variants.a.protocolVersion: expected one of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_what_follows_from_an_error_is_not_said_beside_it(name: str) -> None:
    keys, message = ALONE[name]
    (found,) = errors(keys)
    assert found.startswith(message)


def test_a_preset_that_speaks_no_grpc_on_the_sample_server_is_told_what_each_of_the_two_lacks() -> None:
    keys = of_a(
        {"serving": "vllm", "protocolVersion": "GRPC", "targets": LAUNCH}, listener=HTTPS, idleTimeoutSeconds=300
    )
    port, script = problems(keys)
    assert port.startswith("error: abtest:variants.a.port: missing; for vllm no port of gRPC is documented")
    assert script.startswith(
        "warning: abtest:variants.a.serving: the instances start the sample model server, not vllm"
    )


def test_encrypted_values_are_not_held_against_rules_they_cannot_be_checked_by() -> None:
    hidden = {"secure": "v1:abc"}
    keys = config(
        rules={
            "r": rule(when={"path": [hidden], "sourceIp": [hidden], "host": [hidden], "header": {"X-Key": [hidden]}})
        },
        network={"ingressCidrs": [hidden], "subnetIds": [hidden, hidden]},
        dns={"zone": hidden, "name": hidden},
        listener={"certificateArn": hidden},
    )
    assert load(Source.from_values(keys, Project(Path())))[1] == ()


def test_a_misspelt_action_or_condition_is_not_also_called_missing() -> None:
    keys = config(
        rules={"r": rule(forward=None, foward="a", when={"paht": ["/x"]}), "s": rule(priority=0, forward=None)}
    )
    assert errors(keys) == [
        "abtest:rules.r.foward: there is no such key; did you mean forward?",
        "abtest:rules.r.when.paht: there is no such key; did you mean path?",
        "abtest:rules.s: there is no action; a rule has exactly one of forward, redirect, respond (API Action)",
        "abtest:rules.s.priority: 0 is below 1; priority: 1 to 50000 (API CreateRule)",
    ]


def test_without_guardrails_there_is_a_warning() -> None:
    (line,) = problems(config(guardrails=None))
    assert line.startswith("warning: : there are no abtest:guardrails")
    assert problems(config(guardrails={})) == []


def in_hours(hours: int) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def errors_until(until: str) -> list[str]:
    return errors(config(guardrails={"suspend": {"reason": "a is broken", "until": until}}))


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S +0000 UTC", "%Y-%m-%dT%H:%M:%S+00:00"])
def test_the_guardrails_are_suspended_for_a_day_at_most(form: str) -> None:
    assert errors_until(in_hours(1).strftime(form)) == []
    assert errors_until(in_hours(23).strftime(form)) == []
    (line,) = errors_until(in_hours(-1).strftime(form))
    assert line.endswith("is over, so the guardrails are no longer suspended; remove abtest:guardrails.suspend")
    (line,) = errors_until(in_hours(25).strftime(form))
    assert "is more than 24 hours ahead" in line


def test_a_suspension_ends_at_a_time_of_the_calendar() -> None:
    assert "is not a valid time" in errors_until("2026-02-30T10:00:00Z")[0]
    assert "is not a valid point in time" in errors_until("tomorrow")[0]


def test_only_variants_that_are_there_are_held() -> None:
    assert errors(config(held=["b"])) == []
    assert errors(config(held=["c"])) == ["abtest:held[0]: there is no variant c; known here: a, b"]
    assert errors(config(held=["b", "b"])) == ["abtest:held[1]: b is listed twice; remove one"]


def test_the_control_is_not_held() -> None:
    words = "a is the control, which a rollback sends all clients to; remove it"
    assert errors(config(held=["b", "a"])) == [f"abtest:held[1]: {words}"]
    assert errors(config(held=["a"], control="b")) == []


def test_what_is_held_without_guardrails_is_a_warning() -> None:
    words = "warning: abtest:held: only the guardrails keep these from gaining share; add abtest:guardrails"
    assert words in problems(config(held=["b"], guardrails=None))
    assert problems(config(held=["b"])) == []


def test_limits_of_a_ramp_need_something_to_judge_and_something_to_judge_by() -> None:
    limits = {"metrics": {"errorRate": {"worseBy": 0.005}}}
    assert problems(config(guardrails=limits, accessLogs={})) == []
    assert problems(config(guardrails=limits)) == [
        "warning: abtest:guardrails.metrics: a ramp has no access logs to analyse; add abtest:accessLogs, or pass "
        "--logs to `abtest ramp`"
    ]
    (line,) = problems(config(guardrails={"metrics": {}}, accessLogs={}))
    assert line.endswith("there is no limit in it; add errorRate or slowerThan, each with worseBy")


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("HTTP2", "set waf.http2.traffic_inspection_behavior = inspect_after_sufficient_data on it"),
        ("GRPC", "WAF does not apply rules about the request body to gRPC"),
    ],
)
def test_a_web_acl_that_sees_only_a_part_of_a_request_is_a_warning(version: str, says: str) -> None:
    acl = {"webAclArn": "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/main/1-2"}
    split = {"variants": {"a": variant(protocolVersion=version), "b": VARIANT}, "listener": HTTPS}
    (warning,) = problems(config(waf=acl, **split))
    assert warning.startswith("warning: abtest:variants.a.protocolVersion: ")
    assert says in warning
    assert problems(config(**split)) == []
