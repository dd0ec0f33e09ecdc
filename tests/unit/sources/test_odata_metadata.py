"""What is read from $metadata: types, facets, keys, inheritance, and what is left out."""

import pytest

from tidewell.errors import SourceBroken
from tidewell.sources.odata.metadata import EntitySet, Metadata, read_metadata

V4 = """<edmx:Edmx Version="4.01" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
<edmx:DataServices>
<!-- two schemas, one of them by its alias -->
<Schema Namespace="Base.Types" Alias="b" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EnumType Name="Color"><Member Name="Red"/></EnumType>
  <ComplexType Name="Address"><Property Name="city" Type="Edm.String"/></ComplexType>
  <TypeDefinition Name="Money" UnderlyingType="Edm.Decimal" Precision="15" Scale="3"/>
  <EntityType Name="Thing" Abstract="true">
    <Key><PropertyRef Name="tenant"/><PropertyRef Name="id"/></Key>
    <Property Name="id" Type="Edm.Int32" Nullable="false"/>
    <Property Name="tenant" Type="Edm.String" MaxLength="8" Nullable="false"/>
    <Annotation Term="Org.OData.Core.V1.Description" String="A thing"/>
  </EntityType>
</Schema>
<Schema Namespace="Shop" Alias="Self" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Article" BaseType="b.Thing">
    <Property Name="color" Type="Base.Types.Color"/>
    <Property Name="home" Type="b.Address"/>
    <Property Name="tags" Type="Collection(Edm.String)"/>
    <Property Name="price" Type="b.Money"/>
    <Property Name="cost" Type="b.Money" Precision="9" Scale="2"/>
    <Property Name="photo" Type="Edm.Stream"/>
    <Property Name="note" MaxLength="max"/>
    <NavigationProperty Name="parts" Type="Collection(Shop.Article)"/>
  </EntityType>
  <EntityType Name="Special" BaseType="Shop.Article"><Property Name="x" Type="Edm.Int32"/>
  </EntityType>
  <EntityContainer Name="C">
    <EntitySet Name="Articles" EntityType="Shop.Article">
      <Annotation Term="Org.OData.Capabilities.V1.FilterRestrictions"><Record>
        <PropertyValue Property="NonFilterableProperties"><Collection>
          <PropertyPath>price</PropertyPath></Collection></PropertyValue></Record></Annotation>
    </EntitySet>
    <EntitySet Name="Specials" EntityType="Self.Special"/>
    <Singleton Name="Me" Type="Shop.Article"/>
    <FunctionImport Name="Best" Function="Shop.Best"/>
  </EntityContainer>
  <Annotations Target="Self.C/Specials">
    <Annotation Term="Org.OData.Capabilities.V1.FilterRestrictions"><Record>
      <PropertyValue Property="Filterable" Bool="false"/></Record></Annotation>
  </Annotations>
</Schema></edmx:DataServices></edmx:Edmx>"""

V2 = """<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">
<edmx:DataServices m:DataServiceVersion="2.0"
  xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
<Schema Namespace="N" xmlns="http://schemas.microsoft.com/ado/{edm}/edm"
  xmlns:sap="http://www.sap.com/Protocols/SAPData">
  <EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key>
    <Property Name="Id" Type="Edm.Int64" Nullable="false"/>
    <Property Name="Text" Type="Edm.String" sap:filterable="false" sap:label="A text"/>
    <NavigationProperty Name="Items" Relationship="N.R" FromRole="a" ToRole="b"/>
  </EntityType>
  <EntityContainer Name="Other"><EntitySet Name="Orders" EntityType="N.Order"/></EntityContainer>
  <EntityContainer Name="Main" m:IsDefaultEntityContainer="true">
    <EntitySet Name="Orders" EntityType="N.Order"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


def articles() -> EntitySet:
    return read_metadata(V4.encode()).entity_sets["Articles"]


def test_entity_sets_are_tables_and_singletons_are_not() -> None:
    found = read_metadata(V4.encode())
    assert found.version == "V4"
    assert list(found.entity_sets) == ["Articles", "Specials"]


def test_properties_of_base_types_come_first_and_streams_stay_out() -> None:
    names = [one.name for one in articles().properties]
    assert names == ["id", "tenant", "color", "home", "tags", "price", "cost", "note"]
    specials = read_metadata(V4.encode()).entity_sets["Specials"]
    assert [one.name for one in specials.properties][-1] == "x"


def test_keys_have_their_own_order() -> None:
    keys = {one.name: one.key_position for one in articles().properties}
    assert (keys["tenant"], keys["id"], keys["note"]) == (0, 1, None)


def test_a_key_over_a_path_is_none_rather_than_a_part_of_itself() -> None:
    over_a_path = '<PropertyRef Name="home/city" Alias="city"/><PropertyRef Name="id"/>'
    document = V4.replace('<PropertyRef Name="tenant"/><PropertyRef Name="id"/>', over_a_path)
    found = read_metadata(document.encode()).entity_sets["Articles"]
    assert [one.name for one in found.properties if one.key_position is not None] == []


def test_types_and_facets_are_those_behind_the_names() -> None:
    by_name = {one.name: one for one in articles().properties}
    types = {name: one.type for name, one in by_name.items()}
    assert types == {
        "id": "Edm.Int32",
        "tenant": "Edm.String",
        "color": "Edm.String",
        "home": "complex",
        "tags": "collection",
        "price": "Edm.Decimal",
        "cost": "Edm.Decimal",
        "note": "Edm.String",
    }
    assert (by_name["price"].precision, by_name["price"].scale) == (15, 3)
    assert (by_name["cost"].precision, by_name["cost"].scale) == (9, 2)
    assert by_name["tenant"].max_length == 8
    assert by_name["note"].max_length is None
    assert not by_name["id"].nullable


def test_what_a_service_does_not_filter_by_is_known() -> None:
    closed = [one.name for one in articles().properties if not one.filterable]
    assert closed == ["price"]
    specials = read_metadata(V4.encode()).entity_sets["Specials"]
    assert not any(one.filterable for one in specials.properties)


@pytest.mark.parametrize("edm", ["2006/04", "2007/05", "2008/09", "2009/11"])
def test_version_2_is_read_in_each_of_its_namespaces(edm: str) -> None:
    found: Metadata = read_metadata(V2.format(edm=edm).encode())
    assert found.version == "V2"
    assert list(found.entity_sets) == ["Other.Orders", "Orders"]
    order_id, text = found.entity_sets["Orders"].properties
    assert (order_id.key_position, order_id.type) == (0, "Edm.Int64")
    assert (text.filterable, text.remarks) == (False, "A text")


def test_a_type_that_is_not_defined_is_named() -> None:
    with pytest.raises(SourceBroken, match=r"Shop\.Gone"):
        read_metadata(V4.replace('EntityType="Shop.Article"', 'EntityType="Shop.Gone"').encode())


def test_types_that_inherit_in_a_circle_end() -> None:
    circle = V4.replace('Name="Thing" Abstract="true"', 'Name="Thing" BaseType="Shop.Article"')
    with pytest.raises(SourceBroken, match="does not define"):
        read_metadata(circle.encode())
