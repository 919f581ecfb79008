"""The embedded AWS depends on the stack file only, and reaches nothing but this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from botocore.exceptions import BotoCoreError

from abtest.local import DeployError, Deployment, deploy
from abtest.local.clients import Clients, _client
from abtest.local.embedded import embedded_aws
from abtest.local.environment import IS_HIDDEN
from tests.configs import ROOT, config
from tests.local.comparing import comparable

#: {server} is a server that must see no request, {home} a home directory with hostile files.
HOSTILE: dict[str, dict[str, str]] = {
    "endpoints": {
        "AWS_ENDPOINT_URL": "{server}",
        "AWS_ENDPOINT_URL_EC2": "{server}",
        "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2": "{server}",
        "AWS_ENDPOINT_URL_S3": "{server}",
        "HTTP_PROXY": "{server}",
        "https_proxy": "{server}",
        "ALL_PROXY": "{server}",
        "NO_PROXY": "",
    },
    "profiles": {"AWS_PROFILE": "nope", "AWS_DEFAULT_PROFILE": "none"},
    "FIPS": {"AWS_USE_FIPS_ENDPOINT": "true"},
    "dual stack": {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
    "settings": {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "nowhere",
        "AWS_STS_REGIONAL_ENDPOINTS": "legacy",
        "AWS_ACCOUNT_ID": "999999999999",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "required",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_METADATA_SERVICE_TIMEOUT": "long",
        "AWS_RETRY_MODE": "nope",
        "AWS_DEFAULTS_MODE": "nope",
        "AWS_ENDPOINT_DISCOVERY_ENABLED": "nope",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "nope",
        "AWS_CSM_ENABLED": "true",
        "AWS_CSM_HOST": "192.0.2.1",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "nope=there.is.no.such.module",
    },
    "credentials": {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SESSION_TOKEN": "expired",
        "AWS_ROLE_ARN": "arn:aws:iam::999999999999:role/other",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nope",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "{server}",
        "AWS_CA_BUNDLE": "/nope",
        "REQUESTS_CA_BUNDLE": "/nope",
    },
    "files": {
        "AWS_CONFIG_FILE": "{home}/.aws/config",
        "AWS_SHARED_CREDENTIALS_FILE": "{home}/.aws/credentials",
        "BOTO_CONFIG": "{home}/.boto",
    },
    "models": {"AWS_DATA_PATH": "{home}/.aws/models"},
    "moto": {
        "MOTO_ACCOUNT_ID": "999999999999",
        "MOTO_ALLOW_NONEXISTENT_REGION": "true",
        "MOTO_ECS_NEW_ARN": "false",
        "MOTO_ENABLE_RECORDING": "true",
        "MOTO_RECORDER_FILEPATH": "{home}/recorded",
        "MOTO_S3_CUSTOM_ENDPOINTS": "{server}",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "true",
    },
    "moto proxy": {"TEST_PROXY_MODE": "true", "TEST_PROXY_MODE_ENDPOINT": "{server}"},
    "pulumi": {
        "PULUMI_CONFIG": '{{"abtest:dns": {{"zone": "example.com", "name": "x"}}}}',
        "PULUMI_CONFIG_ABTEST_DNS": '{{"zone": "example.com", "name": "x"}}',
        "PULUMI_ENABLE_LEGACY_APPLY": "true",
        "PULUMI_ERROR_OUTPUT_STRING": "true",
    },
}

#: These are read when moto, Pulumi's SDK or Python is loaded.
HOSTILE_AT_START = {
    "TEST_SERVER_MODE": "true",
    "TEST_SERVER_MODE_ENDPOINT": "{server}",
    "MOTO_MAX_FORM_MEMORY_SIZE": "none",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "true",
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "MOTO_AMIS_PATH": "/nope",
    "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "PULUMI_OTEL_EXPORTER_OTLP_ENDPOINT": "{server}",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}

#: Refuses every connection, look-up of a name and program that is not on this machine, here and in child processes.
GUARD = """
import os, sys
def guard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        to = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        to = arguments[:1]
    elif event == "socket.gethostbyaddr":
        to = ("name of", *arguments)  # may ask DNS for the name of this machine, too
    elif event == "subprocess.Popen":
        to = None if arguments[0] == sys.executable else ("program", *arguments[1][:2])
    else:
        return
    host = to[0] if isinstance(to, tuple) else None
    if host is not None and str(host) not in ("localhost", "::1") and not str(host).startswith("127."):
        with open(os.environ["REFUSED"], "a") as file:
            print(event, to, file=file)
        raise PermissionError(f"not on this machine: {to}")
sys.addaudithook(guard)
"""

#: Runs `abtest local` for some stacks, and writes what deploying dev gives.
CHILD = """
import json, sys
from abtest.cli import run
codes = [run(["local", "--requests", "100", "--access-log", sys.argv[1], "--stack", stack]) for stack in sys.argv[3:]]
from abtest.local import deploy
from tests.local.comparing import comparable
with open(sys.argv[2], "w") as file:
    json.dump([codes, comparable(deploy("dev"))], file)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[str]]]:
    """An HTTP server on this machine: its URL, and the requests that reached it."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            requests.append(self.rfile.readline(1000).decode(errors="replace"))
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", requests
        http.shutdown()


@pytest.fixture(scope="module")
def home(server: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory whose files would send every call to another server, with credentials of a command."""
    folder = tmp_path_factory.mktemp("home")
    aws = folder / ".aws"
    models = aws / "models" / "elbv2" / "2015-12-01"
    models.mkdir(parents=True)
    (models / "service-2.json").write_text("{}")
    (aws / "models" / "endpoints.json").write_text("{}")
    settings = f"endpoint_url = {server[0]}\ncredential_process = touch {folder}/called\nuse_fips_endpoint = true\n"
    other = f"[services other]\nec2 =\n  endpoint_url = {server[0]}\n"
    (aws / "config").write_text(f"[default]\nservices = other\nregion = nowhere\nretry_mode = nope\n{settings}{other}")
    (aws / "credentials").write_text("[default]\naws_access_key_id = other\naws_secret_access_key = other\n")
    (folder / ".boto").write_text("[Credentials]\naws_access_key_id = other\naws_secret_access_key = other\n")
    return folder


@pytest.fixture(scope="module")
def usual() -> Any:
    return comparable(deploy(config()))


def _filled(variables: Mapping[str, str], server: str, home: Path) -> dict[str, str]:
    return {name: value.format(server=server, home=home) for name, value in variables.items()}


@pytest.mark.parametrize("variables", HOSTILE.values(), ids=HOSTILE)
def test_no_variable_changes_a_deployment(
    variables: dict[str, str],
    usual: Any,
    server: tuple[str, list[str]],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in _filled(variables, server[0], home).items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    _client.cache_clear()
    assert comparable(deploy(config())) == usual
    assert dict(os.environ) == before
    assert not server[1]
    assert not (home / "called").exists()
    assert not (home / "recorded").exists()


def test_local_stays_on_this_machine(
    dev: Deployment, server: tuple[str, list[str]], home: Path, tmp_path: Path
) -> None:
    """All hostile variables and files at once, in a process of its own, in which every other socket is refused."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    (tmp_path / "child.py").write_text(CHILD)
    refused, written = tmp_path / "refused", tmp_path / "written"
    everything = {name: value for group in HOSTILE.values() for name, value in group.items()}
    env = {
        **{name: value for name, value in os.environ.items() if not IS_HIDDEN(name)},
        **_filled(everything | HOSTILE_AT_START, server[0], home),
        "HOME": str(home),
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "REFUSED": str(refused),
    }
    stacks = ("dev", "examples/ecs.yaml")
    command = [sys.executable, str(tmp_path / "child.py"), str(tmp_path / "access.log"), str(written), *stacks]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not refused.exists(), refused.read_text()
    assert "Traceback" not in done.stdout + done.stderr
    codes, deployed = json.loads(written.read_text())
    assert codes == [0] * len(stacks)
    assert deployed == comparable(dev)
    assert not server[1]
    assert not (home / "called").exists()


def test_the_guard_of_the_test_refuses(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    attempts = (
        "import socket; socket.socket().connect_ex(('192.0.2.1', 80))",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))",
        "import socket; socket.getaddrinfo('example.com', 80)",
        "import subprocess; subprocess.run(['pulumi', 'version'])",
    )
    for n, attempt in enumerate(attempts):
        env = os.environ | {"PYTHONPATH": str(tmp_path), "REFUSED": str(tmp_path / f"{n}")}
        assert subprocess.run([sys.executable, "-c", attempt], env=env, capture_output=True, check=False).returncode
        assert (tmp_path / f"{n}").exists()


def test_a_call_that_moto_does_not_answer_is_not_sent(server: tuple[str, list[str]]) -> None:
    """Whoever makes the client: the program may have one of its own."""
    import boto3

    with embedded_aws():
        client = boto3.client("sts", region_name="us-east-1", endpoint_url=server[0])
        with pytest.raises(BotoCoreError, match=f"the embedded AWS does not answer {server[0]}/"):
            client.get_caller_identity()
    assert not server[1]


def test_a_program_that_asks_elsewhere_is_refused(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    call = f"boto3.client('sts', region_name='us-east-1', endpoint_url='{server[0]}').get_caller_identity()"
    (tmp_path / "__main__.py").write_text(f"import boto3\n{call}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeployError, match="the embedded AWS does not answer http"):
        deploy(config())
    assert not server[1]


_READ = re.compile(r"""\b(?:os\.environ(?:\.get|\.pop)?|os\.getenv|(?<!\.)environ(?:\.get)?)[\[(]\s*["'](\w+)["']""")


@pytest.mark.parametrize("library", ["moto", "botocore", "boto3", "s3transfer", "responses", "requests", "urllib3"])
def test_every_variable_that_a_library_reads_is_hidden(library: str) -> None:
    """A new version that reads a new one is seen here."""
    spec = importlib.util.find_spec(library)
    assert spec
    assert spec.origin
    files = Path(spec.origin).parent.rglob("*.py")
    wsgi = re.compile(r"wsgi|server\.|moto_server|moto_api")
    texts = (file.read_text(encoding="utf-8") for file in files if not wsgi.search(str(file)))
    names = {name for text in texts if "environ" in text or "getenv" in text for name in _READ.findall(text)}
    of_requests = re.compile(
        r"HTTP_\w+|PATH_INFO|QUERY_STRING|RE(QUEST|MOTE)_\w+|S(ERVER|CRIPT)_\w+|CONTENT_\w+|RAW_URI"
    )
    harmless = {"USERPROFILE", "FOO"}  # of .netrc on Windows; of an example in a docstring
    assert {n for n in names if not (IS_HIDDEN(n) or of_requests.fullmatch(n))} <= harmless


def test_every_variable_of_a_session_is_hidden() -> None:
    named = [variables for _, variables, _, _ in BOTOCORE_DEFAUT_SESSION_VARIABLES.values() if variables]
    names = [name for item in named for name in ([item] if isinstance(item, str) else item)]
    assert len(names) > 30
    assert [name for name in names if not IS_HIDDEN(name)] == []


def test_the_programs_own_variables_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    (tmp_path / "__main__.py").write_text("import os, pulumi\npulumi.export('tag', os.environ['IMAGE_TAG'])\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGE_TAG", "v7")
    assert deploy(config()).outputs == {"tag": "v7"}


def test_clients_are_those_of_the_stacks_region() -> None:
    with embedded_aws():
        assert Clients("eu-west-1").elbv2.meta.region_name == "eu-west-1"
