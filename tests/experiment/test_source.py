"""A stack file, plain values and the engine's config are one config."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from abtest.experiment import ConfigError, Project, Source, find_project, load, load_stack, stack_file
from abtest.experiment.engine_text import go_float
from abtest.experiment.types import SECRET
from tests.configs import ROOT, STACKS, VARIANT, config, lines_of, write_stack

ODD = "[no, on, yes, 010, 0x10, 1_000, 2024-01-01, ~, 1e3, 08]"


def from_engine(values: dict[str, str], project: Project, secret: frozenset[str] = frozenset()) -> Source:
    return Source.from_engine(values, secret, project, "test")


def test_a_stack_file_and_the_engine_give_equal_experiments() -> None:
    for stack in ("dev", "prod"):
        offline, source, _ = load_stack(str(ROOT / f"Pulumi.{stack}.yaml"))
        engine = from_engine(dict(source.values), Project(ROOT))
        assert load(engine)[0] == offline


def test_odd_scalars_reach_the_checks_as_the_engine_would_hand_them_over(tmp_path: Path) -> None:
    file = write_stack(
        tmp_path, f"config:\n  abtest:x: {ODD}\n  abtest:y: 010\n  abtest:z: 1e21\n  abtest:d: 2024-01-01\n"
    )
    values = Source.from_file(*stack_file(str(file))).values
    assert json.loads(values["abtest:x"]) == [
        "no", "on", "yes", 8, 16, 1000, "2024-01-01 00:00:00 +0000 UTC", None, 1000, 8,
    ]  # fmt: skip
    assert values["abtest:y"] == "8"
    assert values["abtest:z"] == "1e+21"
    assert values["abtest:d"] == "2024-01-01 00:00:00 +0000 UTC"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1000.0, "1000"), (0.5, "0.5"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-6, "0.000001"),
     (1e-7, "1e-7"), (-2.5, "-2.5"), (1.5e300, "1.5e+300")],
)  # fmt: skip
def test_floats_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert go_float(value) == text


def test_numbers_and_booleans_of_the_top_level_may_be_quoted() -> None:
    plain = config(stickinessSeconds=60, deletionProtection=True, idleTimeoutSeconds=30)
    quoted = config(stickinessSeconds="60", deletionProtection="true", idleTimeoutSeconds="30")
    folder = Project(ROOT)
    assert load(Source.from_values(plain, folder))[0] == load(Source.from_values(quoted, folder))[0]


def test_keys_without_a_namespace_have_the_projects(tmp_path: Path) -> None:
    file = write_stack(tmp_path, f"config:\n  weights: {{a: 1}}\n  variants: {json.dumps({'a': VARIANT})}\n")
    assert load_stack(str(file))[0].weights == {"a": 1}


def test_pulumi_yaml_fills_in_what_the_stack_file_has_not(tmp_path: Path) -> None:
    project = (
        "name: abtest\nruntime: python\nconfig:\n"
        "  abtest:stickinessSeconds: {value: 60}\n"
        "  abtest:idleTimeoutSeconds: {default: 30}\n"
        "  abtest:weights: {value: {a: 3}}\n"
        "  abtest:wieghts: 1\n"
    )
    file = write_stack(
        tmp_path, f"config:\n  abtest:weights: {{a: 1}}\n  abtest:variants: {json.dumps({'a': VARIANT})}\n", project
    )
    assert lines_of(file) == [
        f"{tmp_path}/Pulumi.yaml:7: error: abtest:wieghts: there is no such key; did you mean weights?"
    ]
    (tmp_path / "Pulumi.yaml").write_text(project.replace("  abtest:wieghts: 1\n", ""))
    found = load_stack(str(file))[0]
    assert (found.stickiness_seconds, found.idle_timeout_seconds, found.weights) == (60, 30, {"a": 1})


def test_the_experiment_is_called_like_the_project_unless_it_has_a_name(tmp_path: Path) -> None:
    text = f"config:\n  abtest:weights: {{a: 1}}\n  abtest:variants: {json.dumps({'a': VARIANT})}\n"
    file = write_stack(tmp_path, text, "name: ranker\nruntime: python\n")
    assert load_stack(str(file))[0].experiment == "ranker"


def test_encrypted_values_are_there_but_unknown(tmp_path: Path) -> None:
    file = write_stack(
        tmp_path,
        f"config:\n  abtest:weights: {{a: 1}}\n  abtest:variants: {json.dumps({'a': VARIANT})}\n"
        "  abtest:experiment: {secure: v1:abc}\n"
        "  abtest:network: {vpcId: {secure: v1:def}}\n  abtest:guardrails: {}\n",
    )
    found, _, warnings = load_stack(str(file))
    assert warnings == ()
    assert found.experiment is SECRET
    assert found.network.vpc_id is SECRET


def test_only_texts_can_be_encrypted(tmp_path: Path) -> None:
    file = write_stack(
        tmp_path,
        f"config:\n  abtest:weights: {{a: {{secure: v1:abc}}}}\n  abtest:variants: {json.dumps({'a': VARIANT})}\n"
        "  abtest:tags: {secure: v1:abc}\n",
    )
    why = "only texts can be encrypted, since everything else is checked before the engine decrypts it"
    assert lines_of(file) == [
        f"{file}:2: error: abtest:weights.a: expected a whole number (0 to 999), got an encrypted value; {why}",
        f"{file}:4: error: abtest:tags: expected a mapping, got an encrypted value; {why}",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network", {"vpcId": "hush-hush"}),
        ("network", {"ingressCidrs": ["hush"]}),
        ("dns", {"zone": "hush.example.com", "name": "models.hush.org"}),
        ("rules", {"r": {"priority": 1, "when": {"host": ["hush"], "pathRegex": ["(hush"]}, "forward": "a"}}),
        ("rules", {"r": {"priority": 1, "when": {"path": ["/x"]}, "forward": "hush"}}),
        ("variants", {"a": {"port": 80, "targets": {"ipAddresses": ["hush"]}}}),
        ("variants", {"a": {"port": 80, "targets": {"launch": {"instanceType": "t3.small", "userDataFile": "hush"}}}}),
        ("weights", {"a": "hush"}),
        ("control", "hush"),
    ],
)
def test_a_message_never_shows_a_value_that_the_engine_holds_as_secret(tmp_path: Path, key: str, value: object) -> None:
    """The engine decrypts, so the values are plain texts here."""
    write_stack(tmp_path, "config: {}\n")
    values = {"abtest:weights": '{"a": 1}', "abtest:variants": json.dumps({"a": VARIANT})}
    values[f"abtest:{key}"] = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(ConfigError) as caught:
        load(from_engine(values, Project(tmp_path), frozenset({f"abtest:{key}"})))
    assert "hush" not in str(caught.value)
    assert "[secret]" in str(caught.value)


def test_in_the_engine_a_problem_has_the_line_of_the_stack_file_that_holds_its_value(tmp_path: Path) -> None:
    file = write_stack(tmp_path, "config:\n  abtest:weights:\n    a: 1000\n")
    values: dict[str, Any] = dict(Source.from_file(*stack_file(str(file))).values)
    values["abtest:variants"] = "{}"  # from somewhere else, --config for example
    with pytest.raises(ConfigError) as caught:
        load(from_engine(values, Project(tmp_path)))
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"{file}:3: error: abtest:weights.a: 1000 is over 999") for line in lines)
    assert any(line.startswith(f"{file}:1: error: abtest:variants: there is no variant") for line in lines)


def test_without_a_stack_file_problems_come_without_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(from_engine({"abtest:weights": '{"a": 1000}'}, Project(tmp_path)))
    assert "stack test: error: abtest:weights.a: 1000 is over 999" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1: error: the file is empty; it needs a config: with abtest:variants and abtest:weights"),
        ("- a\n", "1: error: expected a mapping with the key config:"),
        ("config: [a]\n", "1: error: expected a mapping with the key config:"),
        (
            "config:\n  a: [\n",
            "2: error: not valid YAML: the [ that opens here is not closed; add ]",
        ),
    ],
)
def test_a_file_that_is_no_stack_file_is_one_clear_line(tmp_path: Path, text: str, line: str) -> None:
    file = write_stack(tmp_path, text)
    assert lines_of(file) == [f"{file}:{line}"]


def test_a_file_with_nothing_in_it_says_what_is_missing(tmp_path: Path) -> None:
    file = write_stack(tmp_path, "config:\n  aws:region: us-east-1\n")
    assert lines_of(file) == [
        f"{file}:1: error: abtest:variants: missing; a stack needs abtest:variants and abtest:weights",
        f"{file}:1: error: abtest:weights: missing; a stack needs abtest:variants and abtest:weights",
    ]


def test_a_stack_is_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_stack(tmp_path, "config: {}\n")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert stack_file("test")[0] == file
    assert stack_file("../Pulumi.test.yaml")[0].resolve() == file
    with pytest.raises(
        ConfigError, match=r"Pulumi.tset.yaml: error: there is no stack file for tset; did you mean test\?"
    ):
        stack_file("tset")
    with pytest.raises(ConfigError, match=r"gone/Pulumi.x.yaml: error: there is no such stack file"):
        stack_file("gone/Pulumi.x.yaml")


def test_a_folder_without_a_project_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no Pulumi.yaml here or in a folder above; go to the project's folder"):
        find_project(tmp_path)


def test_escs_environments_are_said_to_be_left_out(tmp_path: Path) -> None:
    file = write_stack(tmp_path, f"environment: [x]\nconfig: {json.dumps(config())}\n")
    assert "environment: (Pulumi ESC) is not read offline; what it sets is missing here" in lines_of(file)[0]


def test_the_committed_stack_files_have_the_layout_that_pulumi_writes() -> None:
    """`pulumi config set` writes scalars of the top level as texts; anything else would be a second changed line."""
    for stack in STACKS:
        values = yaml.safe_load((ROOT / stack).read_text())["config"]
        assert all(isinstance(value, str | dict) for value in values.values())


def test_a_key_without_a_value_is_left_out_in_both_sources(tmp_path: Path) -> None:
    """The engine hands over an empty text for it."""
    text = f"config:\n  abtest:weights: {{a: 1}}\n  abtest:variants: {json.dumps({'a': VARIANT})}\n  abtest:rules:\n  abtest:experiment: ~\n"
    found, read, _ = load_stack(str(write_stack(tmp_path, text)))
    assert (read.values["abtest:rules"], read.values["abtest:experiment"]) == ("", "")
    assert (dict(found.rules), found.experiment) == ({}, "abtest")
    assert load(from_engine(dict(read.values), Project(tmp_path)))[0] == found
