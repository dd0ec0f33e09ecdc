"""The data types of the Query API (contract §7), by their codes."""

from enum import IntEnum


class Code(IntEnum):
    """`dataType` of a column or a parameter; its name is `dataTypeName`."""

    BINARY = 1
    VARCHAR = 5
    TINYINT = 6
    SMALLINT = 7
    INTEGER = 8
    BIGINT = 9
    FLOAT = 10
    DOUBLE = 11
    DECIMAL = 12
    NUMERIC = 13
    BOOLEAN = 14
    DATE = 15
    TIME = 16
    TIMESTAMP = 17
    UUID = 18
