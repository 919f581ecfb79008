"""Where somebody may have a say in an update: the program knows the places, not who asks."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import pulumi

__all__ = ["Binding", "Hooks", "bindings"]

Binding = pulumi.ResourceHookBinding | None


class Hooks(Protocol):
    """Called by the engine; what raises stops the update of that resource."""

    def before_forward(self, args: pulumi.ResourceHookArgs) -> Awaitable[None]:
        """Before the listener, or a rule that forwards, is created or updated; in previews too."""

    def after_attach(self, args: pulumi.ResourceHookArgs) -> Awaitable[None]:
        """After a target is registered."""


def bindings(hooks: Hooks | None) -> tuple[Binding, Binding]:
    """For target group attachments, and for what forwards."""
    if hooks is None:
        return None, None
    attached = pulumi.ResourceHook("abtest-after-attach", hooks.after_attach)
    in_previews = pulumi.ResourceHookOptions(on_dry_run=True)
    forwarded = pulumi.ResourceHook("abtest-before-forward", hooks.before_forward, in_previews)
    return (
        pulumi.ResourceHookBinding(after_create=[attached]),
        pulumi.ResourceHookBinding(before_create=[forwarded], before_update=[forwarded]),
    )
