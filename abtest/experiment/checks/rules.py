"""Listener rules: priorities, conditions and actions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from abtest.experiment import limits
from abtest.experiment.checks.split import check_forward
from abtest.experiment.checks.values import check_cidr
from abtest.experiment.problems import Path, Report, nearest
from abtest.experiment.regex import compiled, repeats_itself
from abtest.experiment.types import SPLIT, Experiment, Listener, Redirect, Rule, Secret, When

__all__ = ["check_header_name", "check_rules", "check_when"]


def check_rules(experiment: Experiment, report: Report) -> None:
    seen: dict[int, str] = {}
    forced = {priority: variant for variant, priority in experiment.override_priorities.items()}
    for name, rule in experiment.rules.items():
        path: Path = ("rules", name)
        where = (*path, "priority")
        if not report.is_broken(where):
            other = seen.setdefault(rule.priority, name)
            if other != name:
                report.error(
                    where, f"{rule.priority} is taken by the rule {other}; priorities are unique (API CreateRule)"
                )
            elif rule.priority in forced:
                report.error(
                    where,
                    f"{rule.priority} is taken by abtest:override, which uses 1 to {len(forced)} "
                    f"(variant {forced[rule.priority]}); take {len(forced) + 1} or more",
                )
        check_when(rule.when, report, (*path, "when"))
        _check_action(experiment, rule, report, path)
    total = len(experiment.rules) + len(forced)
    if total > limits.RULES.high:
        report.warning(
            ("rules",),
            f"{total} rules (with those of abtest:override), but a load balancer has {limits.RULES.high} unless AWS "
            f"raises the quota ({limits.RULES.source})",
        )


# Conditions ---------------------------------------------------------------------------------------------------------


def check_when(when: When, report: Report, path: Path) -> None:
    """The conditions of a rule."""
    found = list(_values(when, path))
    for where, values in _lists(when, path):
        if not values:
            report.error(where, "has no value; list at least one, or remove the key (API RuleCondition)")
    if not found:
        if not report.holds_broken(path):
            report.error(
                path,
                "has no condition, so it would match every request; add one, or change abtest:weights (API CreateRule)",
            )
        return
    _check_one_each(when, report, path)
    if len(found) > limits.RULE_VALUES.high:
        report.error(
            path,
            f"{len(found)} condition values, at most {limits.RULE_VALUES.high} are allowed in a rule, over all its "
            f"conditions ({limits.RULE_VALUES.source}); make two rules of it",
        )
    _check_wildcards(found, report, path)
    for where, value in found:
        if not isinstance(value, Secret) and not report.is_broken(where):
            _check_value(str(where[len(path)]), value, report, where)
    for key, names in (("header", when.header), ("headerRegex", when.header_regex)):
        for name in names or ():
            check_header_name(name, report, (*path, key, name))


def _check_one_each(when: When, report: Report, path: Path) -> None:
    """A rule has at most one condition on the path and one on the host; each holds patterns or regular expressions."""
    for key, pair in (("path", (when.path, when.path_regex)), ("host", (when.host, when.host_regex))):
        if None not in pair:
            report.error(
                (*path, f"{key}Regex"),
                f"stands beside {key}; a rule has one {key} condition, with patterns or with regular expressions "
                "(API RuleCondition)",
            )


def _check_value(kind: str, value: str, report: Report, path: Path) -> None:
    if kind == "host":
        _check_host(value, report, path)
    elif kind == "sourceIp":
        check_cidr(value, report, path)
        if value == "255.255.255.255/32":
            report.error(path, f"{value} is refused by AWS as a source address (API SourceIpConditionConfig)")
    elif kind in {"pathRegex", "hostRegex", "headerRegex"}:
        _check_regex(value, report, path)
    elif kind == "path" and value[0] not in "/*?":
        report.warning(path, f'"{value}" never matches: every path starts with "/"')
    elif kind == "query" and "%" in value:
        report.warning(path, f'"{value}" holds "%": AWS does not say whether it decodes the query before it compares')


def _lists(when: When, path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Each list of values with its path; a mapping without a name counts as an empty list."""
    for field, key in zip(when.__struct_fields__, when.__struct_encode_fields__, strict=True):
        value = getattr(when, field)
        if isinstance(value, tuple):
            yield (*path, key), value
        elif value is not None:
            if not value:
                yield (*path, key), ()
            for name, values in value.items():
                yield (*path, key, name), values


def _values(when: When, path: Path) -> Iterator[tuple[Path, str]]:
    for where, values in _lists(when, path):
        for n, value in enumerate(values):
            yield (*where, n), value


def _check_wildcards(found: list[tuple[Path, str]], report: Report, path: Path) -> None:
    texts = [value for where, value in found if where[len(path)] in {"path", "host", "header", "query"}]
    texts += [str(where[-2]) for where, _ in found if where[len(path)] == "query" and where[-2] != "*"]
    count = sum(len(re.findall(r"[*?]", re.sub(r"\\[*?]", "", text))) for text in texts)
    limit, sure = limits.RULE_WILDCARDS, limits.RULE_WILDCARDS_SURE
    if count > limit.high:
        report.error(path, f"{count} wildcards (* and ?), at most {limit.high} are allowed in a rule ({limit.source})")
    elif count > sure:
        report.warning(path, f"{count} wildcards (* and ?): {limit.source}, so AWS may refuse more than {sure}")


def _check_host(value: str, report: Report, path: Path) -> None:
    _, dot, last = value.rpartition(".")
    if not dot:
        report.error(path, f'"{value}" has no "."; a host pattern needs one (API HostHeaderConditionConfig)')
    elif not re.fullmatch(r"[A-Za-z*?]+", last):
        report.error(
            path,
            f'"{value}": only letters may follow the last ".": no address, no port (API HostHeaderConditionConfig)',
        )
    elif not last.isalpha():
        report.warning(path, f'"{value}": AWS does not say whether a wildcard may stand after the last "."')


def check_header_name(name: str, report: Report, path: Path) -> None:
    if name.lower() == "host":
        report.error(path, "Host is not a header condition; use host (API HttpHeaderConditionConfig)")
    elif not re.fullmatch(r"[-A-Za-z0-9]+", name):
        report.warning(
            path,
            f"the load balancer drops headers with characters other than letters, digits and hyphens, so {name} may "
            "never be seen (API LoadBalancerAttribute routing.http.drop_invalid_header_fields)",
        )


#: What the engine of AWS has not, by what starts it once escapes and classes are out of the way.
#: Source: ALB guide rule-condition-types.
_UNSUPPORTED = (
    (re.compile(r"\(\?<?[=!]"), "lookaround"),
    (re.compile(r"\(\?>"), "an atomic group"),
    (re.compile(r"\\[1-9]|\\k|\(\?P="), "a backreference"),
    (re.compile(r"[*+?}]\+"), "a possessive quantifier"),
    (re.compile(r"\(\?R\)|\(\?[-+]?\d+\)|\(\?&|\(\?P>"), "a subroutine or recursion"),
    (re.compile(r"\(\?\("), "a condition"),
    (re.compile(r"\\[pP]"), r"\p{…}"),
)
_ESCAPE_OR_CLASS = re.compile(r"\\(.)|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]")
_MALFORMED = ("missing", "unexpected )", "no argument for repetition", "trailing \\")


def _check_regex(value: str, report: Report, path: Path) -> None:
    bare = _ESCAPE_OR_CLASS.sub(lambda m: f"\\{m[1]}" if m[1] and m[1] in "123456789kpP" else "x", value)
    for pattern, what in _UNSUPPORTED:
        if pattern.search(bare):
            report.error(path, f'"{value}" has {what}, which AWS does not support (ALB guide rule-condition-types)')
            return
    if re.search(r"\{\d{6,}", bare):  # RE2 takes it for plain text
        report.error(path, f'"{value}" is not a valid regular expression: a repetition is too large')
        return
    try:
        compiled(value)
    except ValueError as error:
        if any(words in str(error) for words in _MALFORMED):
            report.error(path, f'"{value}" is not a valid regular expression: {error}')
        else:
            report.warning(path, f'"{value}" cannot be judged here: {error}')
        return
    if repeats_itself(value):
        report.warning(
            path,
            f'"{value}" repeats a group of which every part may repeat: AWS does not name its engine, and some take '
            "very long over that; repeat once",
        )
    if not (value.startswith("^") and value.endswith("$")):
        report.warning(
            path,
            f'"{value}" is not anchored: AWS does not say whether the whole text must match; write ^ and $ around it',
        )


# Actions --------------------------------------------------------------------------------------------------------------


def _check_action(experiment: Experiment, rule: Rule, report: Report, path: Path) -> None:
    given = [name for name in ("forward", "redirect", "respond") if getattr(rule, name) is not None]
    if len(given) != 1:
        if given or not report.has_unknown_key(path):
            has = f"{' and '.join(given)} are given" if given else "there is no action"
            report.error(path, f"{has}; a rule has exactly one of forward, redirect, respond (API Action)")
        return
    if isinstance(rule.forward, str):
        where = (*path, "forward")
        known = {*experiment.variants, SPLIT}
        if rule.forward not in known and not isinstance(rule.forward, Secret):
            report.error(where, f"there is no variant {rule.forward}; {nearest(rule.forward, known)}")
    elif rule.forward is not None:
        check_forward(rule.forward, experiment.variants, report, (*path, "forward"))
    elif rule.redirect is not None:
        _check_redirect(rule.redirect, experiment.listener, report, (*path, "redirect"))
    elif rule.respond is not None and rule.respond.status // 100 == 3:
        report.error(
            (*path, "respond", "status"),
            f"{rule.respond.status} is not a status for a fixed response: 2xx, 4xx or 5xx "
            f"({limits.RESPONSE_STATUS.source}); for 3xx use redirect",
        )


def _check_redirect(redirect: Redirect, listener: Listener, report: Report, path: Path) -> None:
    if redirect.protocol == "HTTP" and listener.is_https:
        report.error((*path, "protocol"), "a redirect cannot lead from HTTPS to HTTP (API RedirectActionConfig)")
        return
    for key in ("host", "path", "query"):
        text = getattr(redirect, key) or ""
        for placeholder in sorted(set(re.findall(r"#\{\w+\}", text))):
            if text.count(placeholder) > 1:
                report.error(
                    (*path, key),
                    f"{placeholder} is used more than once; each may be used once (API RedirectActionConfig)",
                )
    if isinstance(redirect.port, str) and redirect.port.isdigit() and int(redirect.port) > limits.PORT.high:
        report.error((*path, "port"), f"{redirect.port} is over {limits.PORT.high}; port: {limits.PORT}")
    if listener.arn is not None:
        return  # what that listener speaks is not known here
    changes = (
        redirect.protocol not in {None, "#{protocol}", listener.protocol},
        str(redirect.port or "#{port}") not in {"#{port}", str(listener.listens_on)},
        redirect.host not in {None, "#{host}"},
        redirect.path not in {None, "/#{path}"},
    )
    if not any(changes) and not report.holds_broken(path):
        report.error(
            path,
            "leads back to where it came from, a loop; change protocol, host, port or path (API RedirectActionConfig)",
        )
    if redirect.protocol == "HTTPS" and not listener.is_https and redirect.port is None:
        report.warning(path, f"keeps port {listener.listens_on} when it goes to HTTPS; add port: 443")
