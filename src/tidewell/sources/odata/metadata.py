"""The service's $metadata: entity sets and their properties (OData CSDL XML 4.01)."""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from tidewell.errors import SourceBroken

_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_EDMX_V2 = b"schemas.microsoft.com/ado/2007/06/edmx"
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
    remarks: str = ""


@dataclass(frozen=True)
class EntitySet:
    """An entity set and the properties of its type, those of base types first."""

    name: str
    properties: tuple[Property, ...]
    remarks: str = ""


def read_metadata(document: bytes) -> dict[str, EntitySet]:
    """The entity sets by name. Raises SourceBroken where this is no CSDL of OData 4."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise SourceBroken(f"The service's $metadata is not XML: {error}") from error
    if _EDMX_V2 in document[:2000]:
        raise SourceBroken("This service speaks OData V2, which this version does not read.")
    schemas = _Schemas(root)
    return {
        name: EntitySet(name, schemas.properties(kind), schemas.remarks(kind))
        for name, kind in schemas.entity_sets()
    }


class _Schemas:
    """The types of all schemas by qualified name, also by their schema's alias."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._types: dict[str, etree._Element] = {}
        for schema in root.iter(f"{_EDM}Schema"):
            for element in schema:
                name = element.get("Name")
                if name is None:
                    continue
                for prefix in (schema.get("Namespace"), schema.get("Alias")):
                    if prefix:
                        self._types[f"{prefix}.{name}"] = element

    def entity_sets(self) -> Iterator[tuple[str, str]]:
        """Names of entity sets, each with the qualified name of its type."""
        found = False
        for element in self._root.iter(f"{_EDM}EntitySet"):
            found = True
            yield element.get("Name", ""), element.get("EntityType", "")
        if not found and self._root.find(f".//{_EDM}Schema") is None:
            raise SourceBroken("The service's $metadata has no schema of OData 4.")

    def properties(self, qualified: str) -> tuple[Property, ...]:
        chain = self._chain(qualified)
        keys = [
            reference.get("Name", "")
            for element in chain
            for reference in element.iterfind(f"{_EDM}Key/{_EDM}PropertyRef")
        ]
        return tuple(
            self._property(element, keys)
            for type_ in chain
            for element in type_.iterfind(f"{_EDM}Property")
            if element.get("Type") != "Edm.Stream"
        )

    def remarks(self, qualified: str) -> str:
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

    def _property(self, element: etree._Element, keys: list[str]) -> Property:
        name = element.get("Name", "")
        kind, facets = self._resolved(element)
        return Property(
            name=name,
            type=kind,
            nullable=element.get("Nullable", "true") != "false",
            max_length=_number(facets.get("MaxLength")),
            precision=_number(facets.get("Precision")),
            scale=_number(facets.get("Scale")),
            key_position=keys.index(name) if name in keys else None,
            remarks=_remarks(element),
        )

    def _resolved(self, element: etree._Element) -> tuple[str, etree._Element]:
        """The primitive type behind a property, and the element whose facets hold."""
        kind = element.get("Type", "Edm.String")
        if kind.startswith("Collection("):
            return "collection", element
        defined = self._types.get(kind)
        if defined is None:
            return kind, element
        match etree.QName(defined).localname:
            case "EnumType":
                return "Edm.String", element
            case "TypeDefinition":
                own = any(element.get(name) for name in ("MaxLength", "Precision", "Scale"))
                return defined.get("UnderlyingType", "Edm.String"), element if own else defined
            case _:
                return "complex", element


def _remarks(element: etree._Element) -> str:
    for annotation in element.iterfind(f"{_EDM}Annotation"):
        if annotation.get("Term") in _DESCRIPTION:
            return annotation.get("String", "")
    return ""


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
