"""Where somebody may have a say in an update: the program knows the places, not who asks."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

import pulumi

__all__ = ["Binding", "Hooks", "OfVariants", "bindings"]

Binding = pulumi.ResourceHookBinding | None


class Hooks(Protocol):
    """Called by the engine; what raises stops the update of that resource."""

    def before_group(self, args: pulumi.ResourceHookArgs) -> Awaitable[None]:
        """Before a target group is created, be it in place of another; in previews too."""

    def before_forward(self, args: pulumi.ResourceHookArgs) -> Awaitable[None]:
        """Before the listener or a rule is created or updated; in previews too."""

    def after_attach(self, args: pulumi.ResourceHookArgs) -> Awaitable[None]:
        """After a target is registered, or an Auto Scaling group that registers its own is made."""

    def after_detach(self, args: pulumi.ResourceHookArgs) -> Awaitable[None]:
        """After a launched instance is deregistered, and before it is terminated."""


class OfVariants(NamedTuple):
    """For target groups, and for what registers their targets; ``launched`` is for instances that end with them."""

    group: Binding = None
    attached: Binding = None
    launched: Binding = None


def bindings(hooks: Hooks | None) -> tuple[OfVariants, Binding]:
    """For variants, and for the listener and its rules."""
    if hooks is None:
        return OfVariants(), None
    in_previews = pulumi.ResourceHookOptions(on_dry_run=True)
    grouped = pulumi.ResourceHook("abtest-before-group", hooks.before_group, in_previews)
    attached = pulumi.ResourceHook("abtest-after-attach", hooks.after_attach)
    detached = pulumi.ResourceHook("abtest-after-detach", hooks.after_detach)
    forwarded = pulumi.ResourceHook("abtest-before-forward", hooks.before_forward, in_previews)
    return (
        OfVariants(
            group=pulumi.ResourceHookBinding(before_create=[grouped]),
            attached=pulumi.ResourceHookBinding(after_create=[attached]),
            launched=pulumi.ResourceHookBinding(after_create=[attached], after_delete=[detached]),
        ),
        pulumi.ResourceHookBinding(before_create=[forwarded], before_update=[forwarded]),
    )
