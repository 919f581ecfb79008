"""The web application firewall."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from abtest.experiment.types import Waf
from abtest.stack.load_balancer import Front

__all__ = ["Firewall"]

TYPE = "abtest:stack:Firewall"


class Firewall(pulumi.ComponentResource):
    """Puts an existing web ACL in front of the load balancer, which has one at most (WAFV2 API AssociateWebACL)."""

    association: aws.wafv2.WebAclAssociation

    def __init__(self, name: str, waf: Waf, front: Front, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TYPE, name, None, opts)
        self.association = aws.wafv2.WebAclAssociation(
            name,
            resource_arn=front.arn,
            web_acl_arn=waf.web_acl_arn,
            # The provider takes away whatever is associated: after the new one, it would take that.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.register_outputs({})
