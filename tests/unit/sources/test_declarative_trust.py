"""What a manifest out of a connection may not hold."""

from typing import Any

import pytest

from tidewell.errors import SourceRefused
from tidewell.sources.declarative import trust


def manifest(**stream: Any) -> dict[str, Any]:
    return {"streams": [{"name": "a", "retriever": stream}]}


def test_a_plain_manifest_passes() -> None:
    path = "/{{ config['a'] }}/{{ response.get('next', '') }}/{{ now_utc().strftime('%Y') }}"
    trust.check(manifest(requester={"path": path}))


@pytest.mark.parametrize(
    "stream",
    [
        {"type": "CustomRetriever", "class_name": "os.system"},
        {"requester": {"class_name": "subprocess.Popen"}},
        {"requester": {"type": "CustomRequester"}},
        {"record_selector": [{"deep": {"class_name": "a.B"}}]},
    ],
)
def test_it_names_no_python_code(stream: dict[str, Any]) -> None:
    with pytest.raises(SourceRefused, match="Python code"):
        trust.check(manifest(**stream))


@pytest.mark.parametrize(
    "template",
    [
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' * 9999999999 }}",
        "{% for a in range(10) %}{% endfor %}",
        "{{ 'a' | center(9999999999) }}",
        "{{ 'a'.ljust(9999999999) }}",
        "{{ '%9999999999d' | format(1) }}",
        "{{ '{:>9999999999}'.format(1) }}",
        "{% macro a() %}{{ a() }}{% endmacro %}",
    ],
)
def test_its_templates_eat_neither_time_nor_memory(template: str) -> None:
    with pytest.raises(SourceRefused, match="may not"):
        trust.check(manifest(path=template))


def test_a_template_that_is_none_is_told() -> None:
    with pytest.raises(SourceRefused, match="no template"):
        trust.check(manifest(path="{{ config["))


def test_references_that_stand_for_billions_are_counted_and_not_written_out() -> None:
    layers: dict[str, Any] = {"l0": ["x"] * 10}
    for n in range(1, 12):
        layers[f"l{n}"] = [{"$ref": f"#/definitions/l{n - 1}"}] * 10
    with pytest.raises(SourceRefused, match="too large"):
        trust.check({"definitions": layers, **manifest()})


def test_aliases_that_stand_for_billions_are_counted_and_not_written_out() -> None:
    lines = ["streams: []", "l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 12):
        lines.append(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]")
    with pytest.raises(SourceRefused, match="too large"):
        trust.check(trust.parse("\n".join(lines)))


def test_references_in_a_circle_are_told() -> None:
    circle = {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}
    with pytest.raises(SourceRefused, match="circle"):
        trust.check({"definitions": circle, **manifest()})


@pytest.mark.parametrize("text", ["{", "a: [", "- 1", "streams: 1", "!!python/object:os.system {}"])
def test_what_is_no_manifest_is_told(text: str) -> None:
    with pytest.raises(SourceRefused, match="Manifest"):
        trust.parse(text)
