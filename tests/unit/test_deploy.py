"""The files of deploy/: each is held to its own format's rules, and to what the product has.

No container is started here: that takes a Docker engine, and a cluster.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml

from tests.openapi_document import DOCUMENT
from tidewell.cli.commands import app
from tidewell.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES = ("1.33", "1.37")
USAGE_ERRORS = tuple(
    error
    for module in ("click.exceptions", "typer._click.exceptions")
    if (error := getattr(sys.modules.get(module), "UsageError", None))
)
_EXACT = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?(-[\w.]+)*")
_VARIABLE = re.compile(r"\bTIDEWELL_[A-Z_]+")


def manifests() -> list[tuple[str, dict[str, Any]]]:
    """Every object of the manifests, by its file."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [
        (file.name, one)
        for file in files
        if file.name != "kustomization.yaml"
        for one in yaml.safe_load_all(file.read_text())
    ]


OBJECTS = [pytest.param(one, id=f"{file}-{one['kind']}") for file, one in manifests()]
PODS = [
    pytest.param(one["spec"]["template"]["spec"], id=one["metadata"]["name"])
    for _, one in manifests()
    if "template" in one.get("spec", {})
]


def known(arguments: list[str]) -> bool:
    """Whether the command line takes these words. Raises what it would tell a person."""
    command: Any = typer.main.get_command(app)
    words = list(arguments)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return command.make_context("tidewell", words) is not None


@pytest.mark.parametrize("wrong", [["wrker"], ["worker", "--fast"], ["serve", "--port", "x"]])
def test_a_wrong_command_would_be_found(wrong: list[str]) -> None:
    with pytest.raises((KeyError, *USAGE_ERRORS)):
        known(wrong)


def is_setting(variable: str) -> bool:
    return variable.removeprefix("TIDEWELL_").lower() in Settings.model_fields


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("one", OBJECTS)
def test_an_object_is_what_the_api_of_kubernetes_takes(one: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(one, version, strict=True)


def test_a_wrong_object_would_be_found() -> None:
    [wrong] = [one for _, one in manifests() if one["kind"] == "Namespace"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong | {"metdata": {}}, KUBERNETES[-1], strict=True)


def test_the_kustomization_names_the_files_and_the_image() -> None:
    text = (DEPLOY / "kubernetes" / "kustomization.yaml").read_text()
    kustomization = yaml.safe_load(text)
    files = {file for file, _ in manifests()} - {"secret.example.yaml"}
    assert set(kustomization["resources"]) == files
    assert {one["name"] for one in kustomization["images"]} == {"tidewell"}


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_no_root_and_writes_nothing_but_its_folders(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert known(container["args"])
    own = [one for one in container.get("env", []) if one["name"] == "TIDEWELL_SHUTDOWN_GRACE"]
    if own:
        assert pod["terminationGracePeriodSeconds"] > int(own[0]["value"])


def test_each_deployment_has_a_budget_and_labels_of_its_own() -> None:
    kinds: dict[str, dict[str, Any]] = {}
    for _, one in manifests():
        kinds.setdefault(one["kind"], {})[one["metadata"]["name"]] = one
    assert set(kinds["Deployment"]) == {"tidewell-api", "tidewell-ticker", "tidewell-worker"}
    for name, deployment in kinds["Deployment"].items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        budget = kinds["PodDisruptionBudget"][name]
        assert budget["spec"]["selector"]["matchLabels"] == labels
    [api] = kinds["Deployment"]["tidewell-api"]["spec"]["template"]["spec"]["containers"]
    [service] = kinds["Service"].values()
    assert service["spec"]["selector"].items() <= (
        kinds["Deployment"]["tidewell-api"]["spec"]["template"]["metadata"]["labels"].items()
    )
    assert service["spec"]["ports"][0]["targetPort"] == api["ports"][0]["name"]
    asked = {api[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")}
    assert asked == {"/healthz", "/readyz"}
    assert asked <= set(DOCUMENT["paths"])
    assert api["args"][api["args"].index("--port") + 1] == str(api["ports"][0]["containerPort"])


def test_compose_keeps_to_its_schema() -> None:
    tool = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*tool, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_has_each_role_once() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"postgres", "migrate", "api", "ticker", "worker"}
    for name in set(services) - {"postgres"}:
        service = services[name]
        assert known(service["command"])
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert all(map(is_setting, service["environment"]))
        assert service["depends_on"]
    grace = int(services["worker"]["environment"]["TIDEWELL_SHUTDOWN_GRACE"])
    assert int(services["worker"]["stop_grace_period"].rstrip("s")) > grace
    assert _EXACT.fullmatch(services["postgres"]["image"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_what_systemd_takes_and_is_closed(unit: Path, tmp_path: Path) -> None:
    # The program has to be there; where it will be installed nothing is.
    for one in UNITS:
        text = one.read_text().replace("/opt/tidewell/bin/tidewell", str(BIN / "tidewell"))
        (tmp_path / one.name).write_text(text)
    here = str(tmp_path / unit.name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", here],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    # Its own measure of what a service may do, from 0 (nothing) to 10.
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", here],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-600:]
    [command] = re.findall(r"^ExecStart=/opt/tidewell/bin/tidewell (.+)$", unit.read_text(), re.M)
    assert known(command.split())


def test_the_dockerfile_is_linted_and_its_base_is_exact() -> None:
    done = subprocess.run(
        [str(BIN / "hadolint"), str(DEPLOY / "Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-[\w-]+$", text, re.M)
    assert text.count("--require-hashes") == 2
    assert re.search(r"^USER \d+:\d+$", text, re.M)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M)
    names = " ".join(copied).replace("${LOCK}", "requirements.lock").split()
    assert all((ROOT / name).exists() for name in names)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for name in names:
        assert any(Path(name).match(one[1:]) for one in allowed if one.startswith("!")), name


def test_every_setting_that_is_named_there_is_one() -> None:
    files = [file for file in DEPLOY.rglob("*") if file.is_file()]
    named = {name for file in files for name in _VARIABLE.findall(file.read_text())}
    # Of compose itself: the version of the image.
    assert [name for name in sorted(named - {"TIDEWELL_VERSION"}) if not is_setting(name)] == []
