"""Connectors that the operator brought: installed `airbyte-source-…` packages, and manifest files.

Nothing of a package is imported to find it: its manifest, spec and schemas are read as files. Only
where a manifest names Python classes does the CDK import them, when a source is opened.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import orjson

from tidewell.errors import InvalidRequest
from tidewell.sources.declarative.driver import DeclarativeDriver, importing_the_cdk

_PREFIX = "airbyte-source-"
_SUFFIXES = (".yaml", ".yml", ".json")
CDK = "airbyte-cdk"

Load = Callable[[str], DeclarativeDriver]
"""Makes the driver, under the name that it is found by."""


def packages() -> Iterator[tuple[str, str, Load]]:
    """Of each installed connector with a manifest: its name, its package, and what loads it."""
    for found in distributions():
        package = (found.metadata["Name"] or "").lower().replace("_", "-")
        if not package.startswith(_PREFIX):
            continue
        manifest = _file(found, "manifest.yaml")
        if manifest is None:
            continue
        yield package.removeprefix(_PREFIX), package, partial(_of_package, found, manifest)


def files(folder: Path) -> Iterator[tuple[str, Load]]:
    """The manifests of a folder, each named after its file."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in _SUFFIXES and path.is_file():
            yield path.stem, partial(_of_file, path)


def _of_file(path: Path, name: str) -> DeclarativeDriver:
    return DeclarativeDriver(name, _manifest(path))


def _of_package(found: Distribution, path: Path, name: str) -> DeclarativeDriver:
    """A package's manifest, with the spec and the schemas that stand in files of their own."""
    manifest = dict(_manifest(path))
    if "spec" not in manifest:
        for spec in (_file(found, "spec.yaml"), _file(found, "spec.json")):
            if spec is not None:
                said = _read(spec)
                manifest["spec"] = {
                    "type": "Spec",
                    "connection_specification": said.get("connectionSpecification")
                    or said.get("connection_specification")
                    or {},
                }
                break
    schemas = path.parent / "schemas"
    complete = partial(_with_schemas, schemas) if schemas.is_dir() else None
    return DeclarativeDriver(name, manifest, complete)


def _with_schemas(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the schemas of its files written into it.

    The CDK would look for them beside whatever package was imported first.
    """
    with importing_the_cdk():
        from airbyte_cdk.sources.declarative.parsers.manifest_reference_resolver import (  # noqa: PLC0415
            ManifestReferenceResolver,
        )

    resolved = dict(ManifestReferenceResolver().preprocess_manifest(dict(manifest)))
    streams = []
    for stream in resolved.get("streams") or ():
        parameters = stream.get("$parameters") or {}
        name = stream.get("name") or parameters.get("name") or ""
        loader = stream.get("schema_loader") or {}
        path = folder / f"{name}.json"
        if loader.get("type", "JsonFileSchemaLoader") == "JsonFileSchemaLoader" and path.is_file():
            stream = {  # noqa: PLW2901 - the stream with its schema
                **stream,
                "schema_loader": {"type": "InlineSchemaLoader", "schema": _schema(path, folder)},
            }
        streams.append(stream)
    return {**resolved, "streams": streams}


def _schema(path: Path, folder: Path) -> Any:
    """A schema file with the shared parts that it refers to (`{"$ref": "address.json"}`)."""

    def resolved(value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            target = value.get("$ref")
            if isinstance(target, str) and depth < 10:
                name = target.partition("#")[0]
                for place in (folder / name, folder / "shared" / name):
                    if name and place.is_file():
                        return resolved(orjson.loads(place.read_bytes()), depth + 1)
            return {key: resolved(inner, depth) for key, inner in value.items() if key != "$ref"}
        if isinstance(value, list):
            return [resolved(inner, depth) for inner in value]
        return value

    return resolved(orjson.loads(path.read_bytes()), 0)


def _file(found: Distribution, name: str) -> Path | None:
    """A file of a package's own module (`source_…/manifest.yaml`)."""
    for one in found.files or ():
        if one.name == name and len(one.parts) == 2 and one.parts[0].startswith("source_"):
            return Path(str(found.locate_file(one)))
    return None


def _manifest(path: Path) -> Mapping[str, Any]:
    manifest = _read(path)
    if not (manifest.get("streams") or manifest.get("dynamic_streams")):
        raise InvalidRequest.of("driver", f"the manifest {path.name} has no streams")
    return manifest


def _read(path: Path) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415 - comes with the extra

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidRequest.of("driver", f"{path.name} cannot be read as YAML") from error
    if not isinstance(read, dict):
        raise InvalidRequest.of("driver", f"{path.name} holds no mapping")
    return read
