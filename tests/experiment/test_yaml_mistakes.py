"""A file that is not YAML: the likely mistake and its line, in words of our own."""

from __future__ import annotations

import pytest

from abtest.experiment.engine_yaml import YamlError, parse

#: What is in the file, the line, and the words after "not valid YAML: ".
MISTAKES = {
    "config:\n\ta: 1\n": (2, "there is a tab; YAML is indented with spaces"),
    "config:\n  a:\n\t  b: 1\n": (3, "there is a tab; YAML is indented with spaces"),
    "config:\n  a:1\n  b: 2\n": (2, "a space is missing after the colon: write a: 1"),
    'config:\n  a: "x\n  b: 1\n': (2, 'the quote " that opens here is not closed'),
    "config:\n  a: 'x\n  b: 1\n": (2, "the quote ' that opens here is not closed"),
    "config:\n  a: [1, 2\n  b: 3\n": (2, "the [ that opens here is not closed; add ]"),
    "config:\n  a: {x: 1\n  b: 3\n": (2, "the { that opens here is not closed; add }"),
    "config:\n  a: [\n": (2, "the [ that opens here is not closed; add ]"),
    "config:\n  a: {x: 1 y: 2}\n": (2, "between { and } entries are separated by commas"),
    "config:\n  a: [^/x[0-9]+$]\n": (2, "between [ and ] entries are separated by commas, and a text with [ ]"),
    "config:\n  a: [1]]\n": (2, '"]" comes after the value has ended; remove it, or put the whole value in quotes'),
    'config:\n  a: "x" y\n': (2, '"y" comes after the value has ended; remove it, or put the whole value in quotes'),
    "config:\n  a: 1\n   b: 2\n": (3, "this line is indented deeper than line 2, which has a value already"),
    "config:\n  a: 1\n b: 2\n": (3, "this line is indented by 1 space, and those around it by 0; give it the same"),
    "config:\n  a:\n    b: 1\n   c: 2\n": (4, "this line is indented by 3 spaces, and those around it by 2"),
    "config:\n  a: x: y\n": (2, 'a text that holds ": " is in quotes: write a: "x: y"'),
    "config:\n  a: 1\n  - b\n": (3, "a list entry (-) is among keys"),
    "config:\n  host: [*.example.com]\n": (2, 'a text that starts with * is in quotes, such as "*.example.com"'),
    "config:\n  a: *x\n": (2, "a text that starts with * is in quotes"),
    "config:\n  a: @x\n": (2, 'a text that starts with @ is in quotes: "@x"'),
    "config:\n  a: `x`\n": (2, 'a text that starts with ` is in quotes: "`x`"'),
    'config:\n  a: "\\d+"\n': (2, "in double quotes a \\ starts an escape; take single quotes, such as '^\\d+$'"),
    "config:\n  a: ? x\n": (2, "a text that starts with ? is in quotes"),
    "config:\n  abc\n  d: 1\n": (2, "there is no colon in this line; write abc: VALUE"),
    "config:\n  a: 1\n  abc\n": (3, "there is no colon after this key; write KEY: VALUE"),
    'config:\n  a: ["x]", it\'s, b\n': (2, "the [ that opens here is not closed; add ]"),
    "config:\n<<<<<<< HEAD\n  a: 1\n=======\n  a: 2\n>>>>>>> x\n": (
        2,
        "a merge conflict of Git is left here (<<<<<<<)",
    ),
    "config:\n  a: \x01\n": (2, "the character U+0001 is not allowed in YAML; remove it"),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_remedy(text: str) -> None:
    line, words = MISTAKES[text]
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert caught.value.message.startswith(f"not valid YAML: {words}"), caught.value.message
    assert caught.value.line == line


@pytest.mark.parametrize("text", MISTAKES)
def test_the_parsers_own_words_are_never_shown(text: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert not any(
        words in caught.value.message for words in ("while ", "token", "expected", "scalar", "unicode string")
    )
