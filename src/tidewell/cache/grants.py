"""Who may do what with a table, and how another table is given the same."""

from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.alter import TableStatements
from tidewell.cache.plan import Place
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "grants.sql")

Grants = set[tuple[str | None, str, bool]]
"""Role (None: PUBLIC), privilege, and whether the role may give it on."""


def grants(connection: Connection, place: Place) -> Grants:
    """Who may do what with a table."""
    return set(connection.execute(_SQL["grants"], place.names).fetchall())


def give_grants(
    connection: Connection, given: TableStatements, place: Place, wanted: Grants
) -> None:
    """Have these roles, and no others, do with a table what they may."""

    def execute(statement: str, **parts: sql.Composable) -> None:
        given.run(sql.SQL(_SQL[statement]).format(table=given.table, **parts))

    standing = grants(connection, place)
    for role in {grant[0] for grant in wanted ^ standing}:
        execute("revoke", role=_role(role))
        for _, privilege, is_grantable in sorted(one for one in wanted if one[0] == role):
            execute(
                "grant",
                privilege=sql.SQL(privilege),
                role=_role(role),
                option=sql.SQL(" WITH GRANT OPTION" if is_grantable else ""),
            )


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
