"""Permissions of Lambda functions."""

from __future__ import annotations

from abtest.local.clients import Clients, Inputs
from abtest.local.resources.making import Created, Makers, physical_name

__all__ = ["MAKERS"]


def _permission(aws: Clients, name: str, inputs: Inputs) -> Created:
    statement = physical_name(name)
    aws.lambda_.add_permission(
        FunctionName=inputs.take("function"),
        StatementId=statement,
        **inputs.some(Action="action", Principal="principal", SourceArn="sourceArn", Qualifier="qualifier"),
    )
    return statement, {"statementId": statement}


MAKERS: Makers = {"aws:lambda/permission:Permission": _permission}
