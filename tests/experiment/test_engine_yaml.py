"""Scalars are read as the engine reads them (checked against the real engine in tests/engine)."""

import subprocess
import sys

import pytest

from abtest.experiment.engine_text import canonical_json, decoded
from abtest.experiment.engine_yaml import YamlError, parse, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("~", None),
        ("", None),
        ("null", None),
        ("nULL", "nULL"),
        ("010", 8),
        ("08", 8.0),
        ("0o10", 8),
        ("0x10", 16),
        ("-0x10", -16),
        ("0b11", 3),
        ("1_000", 1000),
        ("1__0", 10),
        ("+12", 12),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1.5.2", "1.5.2"),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 18446744073709551616.0),
        ("12:30", "12:30"),
        ("1e400", "1e400"),
        (".1_0", 0.1),
        ("0b-1", -1),
        ("0001-01-01", "0001-01-01 00:00:00 +0000 UTC"),
        ("2024-01-01T00:00:00-00:00", "2024-01-01 00:00:00 +0000 UTC"),
        ("2024-01-01", "2024-01-01 00:00:00 +0000 UTC"),
        ("2024-1-2", "2024-01-02 00:00:00 +0000 UTC"),
        ("2024-13-01", "2024-13-01"),
        ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05 +0000 UTC"),
        ("2024-01-02T03:04:05.120+02:00", "2024-01-02 03:04:05.12 +0200 +0200"),
        ("2024-01-02 03:04:05", "2024-01-02 03:04:05 +0000 UTC"),
        ("-", "-"),
        ("-a", "-a"),
        ("10.0.0.0/16", "10.0.0.0/16"),
    ],
)
def test_a_plain_scalar_is_what_go_yaml_makes_of_it(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_quotes_and_tags_decide_over_looks() -> None:
    assert parse("a: \"010\"\nb: '~'\nc: !!str 5\nd: !!float 5\ne: |\n  1\n").value == {
        "a": "010",
        "b": "~",
        "c": "5",
        "d": 5,
        "e": "1\n",
    }


def test_lines_are_those_of_keys_and_entries() -> None:
    document = parse("config:\n  a:\n    - x\n    - y\n  b: {c: 1,\n    d: 2}\n")
    assert document.lines[("config", "a")] == 2
    assert document.lines[("config", "a", 1)] == 4
    assert document.lines[("config", "b", "c")] == 5
    assert document.lines[("config", "b", "d")] == 6


def test_anchors_and_merge_keys_work_and_own_keys_win() -> None:
    value = parse("base: &base {x: 1, y: 2}\nc: {<<: *base, y: 3}\nd: {<<: [*base, {y: 9, z: 4}]}\n").value
    assert value["c"] == {"x": 1, "y": 3}
    assert value["d"] == {"x": 1, "y": 2, "z": 4}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1\nb: 2", 1, "not valid YAML: the [ that opens here is not closed"),
        ("a: 1\n\tb: 2", 2, "not valid YAML: there is a tab; YAML is indented with spaces"),
        ("config:\n  1: x", 2, "the key '1' is not text to Pulumi: put it in quotes"),
        ("config:\n  true: x", 2, "the key 'true' is not text to Pulumi: put it in quotes"),
        ("a: 1\nb: 2\na: 3", 3, "the key a is a duplicate key; it is also on line 1 already"),
        ("a: !!int x", 1, "'x' cannot be read as !!int"),
        ("a: !!binary eA==", 1, "cannot be read as !!binary"),
        ("a: *nowhere", 1, "not valid YAML"),
        ("a: &a [*a]", 1, "nested more than 50 levels deep, or an alias that contains itself"),
        ("a: 1\nb: &b {<<: *b}", 2, "an alias that contains itself"),
    ],
)
def test_what_the_engine_refuses_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert words in caught.value.message
    assert caught.value.line == line


def aliases(levels: int, merge: str = "") -> str:
    """Each level has the one before nine times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, levels):
        entries = [f"k{m}: {{<<: *a{n - 1}}}" if merge else f"*a{n - 1}" for m in range(9)]
        lines.append(f"a{n}: &a{n} {'{' if merge else '['}{', '.join(entries)}{'}' if merge else ']'}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (aliases(6), 5, "more than 10,000 entries, counting an alias each time it is used; write fewer"),
        (aliases(9), 5, "more than 10,000 entries"),
        (aliases(9, merge="k"), 4, "more than 10,000 entries"),
        ("a:\n" + "- x\n" * 10_000, 9_999, "more than 10,000 entries"),
        ("a: " + "[" * 60 + "]" * 60, 1, "nested more than 50 levels deep"),
        ("\n".join(" " * n + "a:" for n in range(60)), 50, "nested more than 50 levels deep"),
    ],
    ids=["six levels of aliases", "nine levels", "merge keys", "entries", "nested lists", "nested mappings"],
)
def test_a_file_that_grows_without_bounds_is_refused(text: str, line: int, words: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert words in caught.value.message
    assert caught.value.line == line


def test_deep_nesting_is_refused_without_libyaml() -> None:
    script = """
import yaml
del yaml.CSafeLoader
from abtest.experiment.engine_yaml import YamlError, parse
try:
    parse("[" * 5000 + "]" * 5000)
except YamlError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.stdout == "nested more than 50 levels deep\n"


@pytest.mark.parametrize(
    "text", ["1" * 5000, "-" + "1" * 5000, "1e" + "9" * 5000, "0x" + "f" * 5000, "0." + "1" * 5000]
)
def test_a_huge_number_is_read_in_no_time(text: str) -> None:
    assert parse(f"a: {text}").value["a"] == (0.1111111111111111 if text.startswith("0.") else text)


def test_a_huge_value_is_shortened_in_a_message() -> None:
    with pytest.raises(YamlError) as caught:
        parse(f"a: !!int {'9' * 5000}")
    assert len(caught.value.message) < 100


def test_json_too_deep_to_read_stays_text() -> None:
    assert decoded("[" * 100_000) == "[" * 100_000


def test_numbers_come_back_from_json_as_go_writes_them() -> None:
    assert canonical_json({"a": [90.0, 1.5, 1e21]}) == {"a": [90, 1.5, 1e21]}
    assert isinstance(canonical_json(90.0), int)
