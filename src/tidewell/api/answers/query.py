"""Results of queries and the log of queries (contract §7), as the API answers them."""

from typing import Any

from pydantic import ConfigDict

from tidewell.api.answers.base import RUN, Answer, Id, Time

_COLUMN: dict[str, Any] = {
    "ordinal": 0,
    "catalogName": "OData1",
    "schemaName": "OData",
    "tableName": "Categories",
    "columnName": "ID",
    "columnLabel": "ID",
    "dataType": 8,
    "dataTypeName": "INTEGER",
    "length": 4,
    "precision": 10,
    "scale": 0,
    "nullable": False,
}
_ENTRY: dict[str, Any] = {
    "queryId": RUN,
    "timestamp": "2026-03-02T08:00:00.412Z",
    "queryType": 200,
    "query": "select ID from OData1.OData.Categories",
    "credential": "token",
    "drivers": "OData",
    "duration": 12,
    "rowsReturned": 1,
    "rowsAffected": -1,
    "rowsInput": 0,
    "logVerbosity": 1,
    "errorCode": "",
    "errorMessage": "",
    "userAgent": "curl/8.5.0",
}


class ResultColumn(Answer):
    """A column of a result; names are empty where it is computed."""

    ordinal: int
    catalog_name: str
    """The connection's name."""
    schema_name: str
    table_name: str
    column_name: str
    column_label: str
    """Its alias, else its name."""
    data_type: int
    """1 BINARY, 5 VARCHAR, 6 TINYINT, 7 SMALLINT, 8 INTEGER, 9 BIGINT, 10 FLOAT, 11 DOUBLE,
    12 DECIMAL, 13 NUMERIC, 14 BOOLEAN, 15 DATE, 16 TIME, 17 TIMESTAMP, 18 UUID."""
    data_type_name: str
    length: int
    precision: int
    scale: int
    nullable: bool


class ResultSet(Answer):
    """One result."""

    schema_: list[ResultColumn]
    rows: list[list[Any]]
    """Rows of values in the order of the schema; binary ones in Base64."""
    affected_rows: int
    """-1: a query writes nothing."""

    model_config = ConfigDict(
        alias_generator=lambda name: (
            "schema" if name == "schema_" else "affectedRows" if name == "affected_rows" else name
        ),
        use_attribute_docstrings=True,
        extra="allow",
    )


class Results(Answer):
    """The result of a query. `Age` tells how many seconds old its oldest cached table is."""

    results: list[ResultSet]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"results": [{"schema": [_COLUMN], "rows": [[1], [2]], "affectedRows": -1}]}
            ]
        }
    )


class QueryEntry(Answer):
    """A query that has ended."""

    query_id: Id
    timestamp: Time
    query_type: int
    """200: of the Query API, 204: of a caching job, 205: a scheduled query."""
    query: str
    credential: str
    """Whose token asked."""
    drivers: str
    duration: int
    """Milliseconds."""
    rows_returned: int
    rows_affected: int
    rows_input: int
    log_verbosity: int
    error_code: str
    error_message: str
    user_agent: str


class QueryEntries(Answer):
    """Queries of the last seven days, newest first."""

    queries: list[QueryEntry]

    model_config = ConfigDict(json_schema_extra={"examples": [{"queries": [_ENTRY]}]})


class QueryLog(QueryEntry):
    """A query that has ended, with the lines of its log."""

    log: list[str]

    model_config = ConfigDict(
        json_schema_extra={"examples": [_ENTRY | {"log": ["It took 12 ms and gave 1 row."]}]}
    )
