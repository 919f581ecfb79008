"""The same program without AWS or the Pulumi CLI: moto, in this process, behind Pulumi's mocks."""

from abtest.local.environment import own_environment

with own_environment():  # moto and Pulumi's SDK read some variables when they are loaded
    from abtest.local.deployment import DeployError, Deployment, Resource, deploy

__all__ = ["DeployError", "Deployment", "Resource", "deploy"]
