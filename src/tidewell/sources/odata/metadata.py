"""The service's $metadata: entity sets and their properties.

OData 4 writes it as CSDL XML 4.01, OData 2 as [MC-CSDL] with SAP's own attributes here and there;
they differ in their namespaces more than in what is read here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from lxml import etree

from tidewell.errors import SourceBroken
from tidewell.given import whole_number

Version = Literal["V2", "V4"]

_EDM_V4 = "http://docs.oasis-open.org/odata/ns/edm"
_EDM_V2 = (
    "http://schemas.microsoft.com/ado/2006/04/edm",
    "http://schemas.microsoft.com/ado/2007/05/edm",
    "http://schemas.microsoft.com/ado/2008/01/edm",
    "http://schemas.microsoft.com/ado/2008/09/edm",
    "http://schemas.microsoft.com/ado/2009/08/edm",
    "http://schemas.microsoft.com/ado/2009/11/edm",
)
_DATA_SERVICES = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
_SAP = "{http://www.sap.com/Protocols/SAPData}"
_DESCRIPTION = ("Org.OData.Core.V1.Description", "Core.Description")
_DEEPEST_INHERITANCE = 50


@dataclass(frozen=True)
class Property:
    """A structural property. `type` is a primitive of Edm, or one of `complex`, `collection`."""

    name: str
    type: str
    nullable: bool
    max_length: int | None
    precision: int | None
    scale: int | None
    key_position: int | None = None
    filterable: bool = True
    remarks: str = ""


@dataclass(frozen=True)
class EntitySet:
    """An entity set and the properties of its type, those of base types first.

    `path` is its address below the service's root.
    """

    name: str
    path: str
    properties: tuple[Property, ...]
    remarks: str = ""


@dataclass(frozen=True)
class Metadata:
    """What a service says of itself."""

    version: Version
    entity_sets: dict[str, EntitySet]


def read_metadata(document: bytes) -> Metadata:
    """Read a $metadata document. Raises SourceBroken where it is none of OData."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise SourceBroken(f"The service's $metadata is not XML: {error}") from error
    found = _Schemas(root)
    if found.version is None:
        raise SourceBroken("The service's $metadata has no schema of OData 2 or 4.")
    return Metadata(found.version, {one.name: one for one in found.entity_sets()})


class _Schemas:
    """The types of all schemas by qualified name, also by their schema's alias."""

    def __init__(self, root: etree._Element) -> None:
        self.version: Version | None = None
        self._types: dict[str, etree._Element] = {}
        self._containers: list[tuple[str, etree._Element]] = []
        self._annotations: dict[str, list[etree._Element]] = {}
        for schema in root.iter("{*}Schema"):
            namespace = etree.QName(schema).namespace
            if namespace in (_EDM_V4, *_EDM_V2):
                self.version = "V4" if namespace == _EDM_V4 else self.version or "V2"
                self._read(schema)

    def _read(self, schema: etree._Element) -> None:
        prefixes = [one for one in (schema.get("Namespace"), schema.get("Alias")) if one]
        for element in schema.iterchildren("*"):
            if _local(element) == "Annotations":
                for target in _targets(element.get("Target", ""), prefixes):
                    self._annotations.setdefault(target, []).extend(
                        _children(element, "Annotation")
                    )
            name = element.get("Name")
            if name is None:
                continue
            if _local(element) == "EntityContainer":
                self._containers.append((prefixes[0] if prefixes else "", element))
            for prefix in prefixes:
                self._types[f"{prefix}.{name}"] = element

    def entity_sets(self) -> Iterator[EntitySet]:
        """The entity sets. Where several containers have them, all but the default one's go by
        their container's name too ([MS-ODATA] 2.2.3.2)."""
        mark = f"{_DATA_SERVICES}IsDefaultEntityContainer"
        marked = [one for _, one in self._containers if one.get(mark) == "true"]
        default = [*marked, *(one for _, one in self._containers)][:1]
        for namespace, container in self._containers:
            is_default = container in default
            for element in _children(container, "EntitySet"):
                name, kind = element.get("Name", ""), element.get("EntityType", "")
                shown = name if is_default else f"{container.get('Name')}.{name}"
                target = f"{namespace}.{container.get('Name')}/{name}"
                yield EntitySet(
                    name=shown,
                    path=shown,
                    properties=self._properties(kind, self._closed_to_filters(element, target)),
                    remarks=self._remarks_of(kind) or element.get(f"{_SAP}label", ""),
                )

    def _properties(self, qualified: str, closed: frozenset[str]) -> tuple[Property, ...]:
        chain = self._chain(qualified)
        keys = [
            reference.get("Name", "")
            for element in chain
            for key in _children(element, "Key")
            for reference in _children(key, "PropertyRef")
        ]
        elements = [
            element
            for type_ in chain
            for element in _children(type_, "Property")
            if element.get("Type") != "Edm.Stream"
        ]
        # A part of a key is none, and one over a path (`Address/Code`) is no column.
        if not set(keys) <= {element.get("Name") for element in elements}:
            keys = []
        return tuple(self._property(element, keys, closed) for element in elements)

    def _remarks_of(self, qualified: str) -> str:
        element = self._types.get(qualified)
        return "" if element is None else _remarks(element)

    def _chain(self, qualified: str) -> list[etree._Element]:
        """The type and its base types, the outermost base first."""
        chain: list[etree._Element] = []
        name: str | None = qualified
        while name:
            element = self._types.get(name)
            if element is None or len(chain) > _DEEPEST_INHERITANCE:
                raise SourceBroken(f"The service's $metadata does not define the type {name}.")
            chain.insert(0, element)
            name = element.get("BaseType")
        return chain

    def _property(
        self, element: etree._Element, keys: list[str], closed: frozenset[str]
    ) -> Property:
        name = element.get("Name", "")
        kind, facets = self._resolved(element)
        can_be_filtered = element.get(f"{_SAP}filterable") != "false" and "*" not in closed
        return Property(
            name=name,
            type=kind,
            nullable=element.get("Nullable", "true") != "false",
            max_length=_number(facets.get("MaxLength")),
            precision=_number(facets.get("Precision")),
            scale=_number(facets.get("Scale")),
            key_position=keys.index(name) if name in keys else None,
            filterable=can_be_filtered and name not in closed,
            remarks=_remarks(element) or element.get(f"{_SAP}label", ""),
        )

    def _resolved(self, element: etree._Element) -> tuple[str, etree._Element]:
        """The primitive type behind a property, and the element whose facets hold."""
        kind = element.get("Type", "Edm.String")
        if kind.startswith("Collection("):
            return "collection", element
        if kind == "Edm.DateTime" and element.get(f"{_SAP}display-format") == "Date":
            return "Edm.Date", element
        defined = self._types.get(kind)
        if defined is None:
            return kind, element
        match _local(defined):
            case "EnumType":
                return "Edm.String", element
            case "TypeDefinition":
                own = any(element.get(name) for name in ("MaxLength", "Precision", "Scale"))
                return defined.get("UnderlyingType", "Edm.String"), element if own else defined
            case _:
                return "complex", element

    def _closed_to_filters(self, element: etree._Element, target: str) -> frozenset[str]:
        """Properties that the service does not filter by; `*` where it filters by none
        (Org.OData.Capabilities.V1.FilterRestrictions)."""
        closed = set()
        for annotation in [*_children(element, "Annotation"), *self._annotations.get(target, ())]:
            if not annotation.get("Term", "").endswith("FilterRestrictions"):
                continue
            for value in annotation.iter("*"):
                if value.get("Property") == "Filterable" and value.get("Bool") == "false":
                    closed.add("*")
                if value.get("Property") == "NonFilterableProperties":
                    closed |= {(one.text or "").strip() for one in value.iter("*") if one.text}
        return frozenset(closed)


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return element.iterchildren(f"{{*}}{name}")


def _targets(target: str, prefixes: list[str]) -> Iterator[str]:
    """An annotation's target by the namespace, where it is written by the alias."""
    yield target
    for prefix in prefixes[1:]:
        if target.startswith(f"{prefix}."):
            yield prefixes[0] + target[len(prefix) :]


def _remarks(element: etree._Element) -> str:
    for annotation in _children(element, "Annotation"):
        if annotation.get("Term") in _DESCRIPTION:
            return annotation.get("String", "")
    return ""


def _number(text: str | None) -> int | None:
    return whole_number(text or "", 0, 2**31 - 1)
