"""Regular expressions of rules, read by RE2: in linear time, and without lookaround, as AWS's engine."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["compiled", "repeats_itself"]

_ESCAPE_OR_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]")
#: A part of an expression without escapes and classes, and how often it may come.
_PART = re.compile(
    r"(?P<open>\((?:\?(?:P?<\w+>|[a-zA-Z-]*:))?)|(?P<bar>\|)|"
    r"(?P<one>.)(?:(?P<repeats>[*+]|\{\d+,\d*\})|(?P<may_be_missing>\?))?\??",
    re.DOTALL,
)


def compiled(value: str, *, ignore_case: bool = False) -> Any:
    """RE2's own object, which searches bytes. Raises ValueError with its reason."""
    import re2

    options = re2.Options()
    options.log_errors, options.case_sensitive = False, not ignore_case
    try:
        return re2.compile(value.encode(), options)
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(reason.decode(errors="replace")) from None


def repeats_itself(value: str) -> bool:
    """Whether a group repeats of which every part may repeat, as in ``(a+)+``. An engine that backtracks tries all ways
    to divide a text among the repetitions.
    """
    # For each open group: whether this branch has no part that comes exactly once, whether a part of it repeats, and
    # whether both were true of an earlier branch.
    levels = [[True, False, False]]
    for part in _PART.finditer(_ESCAPE_OR_CLASS.sub("x", value)):
        if part["open"]:
            levels.append([True, False, False])
        elif part["bar"]:
            levels[-1] = [True, False, levels[-1][2] or all(levels[-1][:2])]
        else:
            is_loose = False
            if part["one"] == ")":
                if len(levels) == 1:
                    return False
                group = levels.pop()
                is_loose = group[2] or all(group[:2])
                if is_loose and part["repeats"]:
                    return True
            levels[-1][0] &= is_loose or bool(part["repeats"] or part["may_be_missing"])
            levels[-1][1] |= is_loose or bool(part["repeats"])
    return False
