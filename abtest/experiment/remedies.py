"""Suggestions for values that have the wrong form, by type and unit instead of by key.

A suggestion is the text to write in the stack file. It fits the limit of the key; otherwise there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from abtest.experiment.limits import Measure, Range, Shape
from abtest.experiment.serving import PRESETS

__all__ = [
    "FOREIGN_KEYS",
    "as_arn",
    "as_boolean",
    "as_item",
    "as_list",
    "as_mapping",
    "as_number",
    "as_text",
    "as_weights",
    "quoted",
]

#: Section -> keys that people expect there, and what serves instead. Keys that are only misspelt are not here.
FOREIGN_KEYS: Mapping[str, Mapping[str, str]] = {
    "Experiment": {"region": "write aws:region, the setting of the AWS provider"},
    "Variant": dict.fromkeys(("weight", "share", "percent"), "the weights of all variants are in abtest:weights"),
    "Targets": {
        **{
            server: f"{server} is a model server: write serving: {server} beside targets, and in targets how it runs, "
            "such as launch or ecs"
            for server in PRESETS
        },
        **dict.fromkeys(("fargate", "container", "service"), "a Fargate service is ecs: {image: …, cpu: …, memory: …}"),
        **dict.fromkeys(("ec2", "instance"), "write launch to start EC2 instances, instanceIds for running ones"),
        "asg": "an Auto Scaling group is launch: {instanceType: …, min: …, max: …}",
        "function": "write lambdaArn",
        **dict.fromkeys(("ip", "ips"), "write ipAddresses"),
    },
    "Guardrails": {"override": "did you mean suspend?"},  # a key of the top level too, which does something else
    "Ecs": {
        **dict.fromkeys(
            ("gpu", "gpus"),
            "Fargate has no GPUs; take targets.launch with an instanceType that has one, such as g5.xlarge, or "
            "targets.external for tasks on EC2 instances of your own",
        ),
        **dict.fromkeys(("desiredCount", "replicas", "tasks"), "write count"),
        **dict.fromkeys(("env", "variables"), "write environment"),
        "containerPort": "write port beside targets",
    },
    "Launch": {
        **dict.fromkeys(("gpu", "gpus"), "take an instanceType that has a GPU, such as g5.xlarge"),
        **dict.fromkeys(("instances", "replicas", "desiredCapacity"), "write count, or min and max"),
    },
    "HealthCheck": dict.fromkeys(("successCodes", "codes", "status", "httpCode"), "write matcher"),
    "Rule": {
        **dict.fromkeys(("weight", "weights", "split"), "write forward: {VARIANT: WEIGHT, …}, or forward: split"),
        **dict.fromkeys(("variant", "target", "to"), "write forward: VARIANT"),
    },
}

_SECONDS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}
_SIZES = {"m": 1, "g": 1024, "t": 1024**2}
_MIB = {f"{letter}{end}": size for letter, size in _SIZES.items() for end in ("", "b", "i", "ib")}

#: Unit of a key -> the units that people write, in lower case, each in the key's unit.
_UNITS: Mapping[str, Mapping[str, float]] = {
    "seconds": _SECONDS,
    "days": {unit: seconds / 86_400 for unit, seconds in _SECONDS.items() if seconds >= 86_400},
    "MiB": _MIB,
    "GiB": {unit: size / 1024 for unit, size in _MIB.items()},
    "CPU units": dict.fromkeys(("vcpu", "vcpus", "cpu", "cpus"), 1024),
}
_PART = r"(\d[\d_,]*(?:\.\d+)?) ?(%|[^\W\d_]*) ?"
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "y", "on", "1", "enabled"), "true"),
    **dict.fromkeys(("false", "no", "n", "off", "0", "disabled"), "false"),
}
_ENTRY = r"([\w.-]+)\s*[=:]\s*([\w.%-]+)"


def quoted(raw: Any) -> str:
    """A value as it is written in flow style."""
    if isinstance(raw, Mapping):
        return f"{{{', '.join(f'{name}: {quoted(value)}' for name, value in raw.items())}}}"
    if isinstance(raw, list | tuple):
        return f"[{', '.join(map(quoted, raw))}]"
    return json.dumps(raw, ensure_ascii=False)


def as_boolean(raw: Any) -> str:
    """``true`` or ``false`` for other words, and for quoted ones."""
    return _BOOLEANS.get(str(raw).lower(), "") if isinstance(raw, str | int) else ""


def as_number(raw: Any, limit: Measure | None, choices: Sequence[Any] = ()) -> str:
    """The number in the unit of the key: 3600 for "1h", 90 for "90 %", 4096 for "4GB"."""
    for number in _numbers(raw, limit):
        value: float = round(number, 9)
        value = int(value) if float(value).is_integer() else value
        is_whole = isinstance(value, int) or not isinstance(limit, Range)
        is_right = value in choices if choices else limit is None or (limit.low <= value <= limit.high and is_whole)
        if is_right:
            return str(value) if isinstance(value, int) else f"{value:.9f}".rstrip("0")
    return ""


def _numbers(raw: Any, limit: Measure | None) -> Iterator[float]:
    """The numbers that a value may mean, the likeliest first."""
    unit, whole = (limit.unit, limit.whole) if limit else ("", None)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        if whole and 0 < raw < 1 < whole:  # a fraction of it
            yield raw * whole
        if whole == 1 and 1 <= raw <= 100:  # percent
            yield raw / 100
        if unit == "CPU units" and raw <= 16:  # the vCPUs of the largest task
            yield raw * 1024
    if not isinstance(raw, str):
        return
    text = raw.strip().lower()
    if re.fullmatch(f"(?:{_PART})+", text):
        parts = [(float(re.sub("[_,]", "", number)), word) for number, word in re.findall(_PART, text)]
        factors: Mapping[str, float] = {**_UNITS.get(unit, {}), unit.lower(): 1, "": 1}
        if len(parts) == 1 and parts[0][1] == "%" and whole:
            yield parts[0][0] / 100 * whole
        elif all(word in factors for _, word in parts):
            yield sum(number * factors[word] for number, word in parts)
    if not unit and not whole and len(numbers := {*re.findall(r"\d+", text)}) == 1:  # 80/tcp, 8080:8080
        yield float(numbers.pop())


def as_weights(raw: Mapping[str, Any], limit: Any) -> str:
    """Whole weights in the same proportions, for fractions and for percentages."""
    if not isinstance(limit, Range) or not limit.whole or all(isinstance(value, int) for value in raw.values()):
        return ""
    values: dict[str, float] = {}
    for name, value in raw.items():
        number = re.fullmatch(r"(\d+(?:\.\d+)?) ?%?", value) if isinstance(value, str) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = value
        elif number:
            values[name] = float(number[1])
    if len(values) < len(raw) or min(values.values()) < 0:
        return ""
    for scale in (1, 100, 1000, 10):
        scaled = {name: round(value * scale, 6) for name, value in values.items()}
        if all(value.is_integer() and value <= limit.high for value in map(float, scaled.values())):
            return quoted({name: int(value) for name, value in scaled.items()})
    return ""


def as_text(raw: str, limit: Shape) -> str:
    """The same text in the form that the limit asks for."""
    text = next((text for text in _texts(raw, limit) if text != raw and _fits(text, limit)), "")
    return text if re.fullmatch(r"[A-Za-z_/][\w./-]*(:+[\w./-]+)*", text) else quoted(text) if text else ""


def as_arn(raw: str, limit: Shape) -> str:
    """The form of an ARN, for an id or a name."""
    return limit.template.format(raw.strip()) if limit.template and re.fullmatch(r"[\w/.-]{1,64}", raw.strip()) else ""


def _fits(text: str, limit: Shape) -> bool:
    return bool(re.fullmatch(limit.pattern, text)) and len(text) <= (limit.longest or len(text))


def _texts(raw: str, limit: Shape) -> Iterator[str]:
    """Texts with the same meaning: letter case, white space, another dash, a part of a URL or an ARN."""
    plain = re.sub("[\N{HYPHEN}-\N{HORIZONTAL BAR}]", "-", raw.strip())
    yield from (plain, plain.lower(), plain.upper(), re.sub(r"\s*([,:-])\s*", r"\1", plain), plain.rstrip("/"))
    if limit.is_chosen:
        yield re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if "://" in plain:
        yield from re.findall(r"://([^/]+)", plain)  # the host
        yield from re.findall(r"://[^/]*(/.*)", plain)  # the path
    elif plain.startswith("arn:"):
        yield re.split(r"[:/]", plain)[-1]
    elif limit.is_path:
        yield f"/{plain}"


def as_item(raw: Any) -> str:
    """The value of a list of one, where no list belongs."""
    return quoted(raw[0]) if isinstance(raw, list) and len(raw) == 1 and isinstance(raw[0], str | int | float) else ""


def as_list(raw: Any, limit: Any) -> str:
    """A list of one value, or of several that are in one text. ``limit`` is that of an entry."""
    if isinstance(raw, Mapping | list) or raw is None:
        return ""
    parts = re.split(r"\s*,\s*|\s+", raw.strip()) if isinstance(raw, str) else [raw]
    if not isinstance(limit, Shape):
        return quoted(parts if "," in str(raw) else [raw])
    if _fits(str(raw), limit):
        return quoted([raw])
    repaired = [next((text for text in _texts(item, limit) if _fits(text, limit)), item) for item in map(str, parts)]
    return quoted(repaired if all(_fits(item, limit) for item in repaired) else [raw])


def as_mapping(raw: Any, names: Sequence[str], limit: Any) -> str:
    """A mapping, for a list of its values or entries, or for a text such as a=90,b=10. ``limit`` is that of a value."""
    if isinstance(raw, str) and not re.sub(rf"{_ENTRY}|[\s,;{{}}]", "", raw):
        raw = [{name: int(value) if value.isdigit() else value} for name, value in re.findall(_ENTRY, raw)]
    if not isinstance(raw, list) or not raw:
        return ""
    if all(isinstance(item, Mapping) and len(item) == 1 for item in raw):
        entries = {name: value for item in raw for name, value in item.items()}
    elif all(isinstance(item, str | int | float) for item in raw) and len(raw) == len(names):
        entries = dict(zip(names, raw, strict=True))
    else:
        named = [item["name"] for item in raw if isinstance(item, Mapping) and isinstance(item.get("name"), str)]
        return (
            f"{{{', '.join(f'{name}: …' for name in named)}}}, with the names as keys" if len(named) == len(raw) else ""
        )
    return as_weights(entries, limit) or quoted(entries)
