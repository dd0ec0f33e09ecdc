"""OData services as tables: every entity set, read page by page (OData 2.0, 4.0 and 4.01)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source

_CLIENT = ("AuthScheme=OAuthClient",)


@dataclass(frozen=True)
class ODataDriver:
    """The driver `OData`; one schema of the same name."""

    name: str = "OData"
    dialect: str = ""
    several_schemas: bool = False
    keys: tuple[Key, ...] = (
        Key("URL", "Root of the service, as https://host/odata/v4/sales.", required=True),
        Key(
            "AuthScheme",
            "How to sign in.",
            default="None",
            choices=("None", "Basic", "Bearer", "APIKey", "OAuthClient"),
        ),
        Key("User", "User, for Basic.", only_with=("AuthScheme=Basic",)),
        Key(
            "Password",
            "Password, for Basic.",
            secret=True,
            neutral=True,
            only_with=("AuthScheme=Basic",),
        ),
        Key(
            "Token",
            "Access token, for Bearer; the key, for APIKey.",
            secret=True,
            only_with=("AuthScheme=Bearer", "AuthScheme=APIKey"),
        ),
        Key(
            "APIKeyHeader",
            "Name of the header that takes the key.",
            default="X-API-Key",
            only_with=("AuthScheme=APIKey",),
        ),
        Key(
            "OAuthClientId",
            "Id of the client, for OAuthClient (client credentials).",
            only_with=_CLIENT,
        ),
        Key(
            "OAuthClientSecret",
            "Secret of the client, for OAuthClient.",
            secret=True,
            neutral=True,
            only_with=_CLIENT,
        ),
        Key(
            "OAuthAccessTokenURL",
            "Where the client gets its tokens, for OAuthClient.",
            only_with=_CLIENT,
        ),
        Key(
            "OAuthScope",
            "Scopes to ask for, separated by spaces, for OAuthClient.",
            only_with=_CLIENT,
        ),
        Key(
            "CustomHeaders",
            "Headers for every request, each on a line of its own: Name: value.",
            secret=True,
        ),
        Key(
            "ODataVersion",
            "Version of the protocol; AUTO: the service's own.",
            default="AUTO",
            choices=("AUTO", "2.0", "4.0", "4.01"),
        ),
        Key(
            "Paging",
            "Who cuts the pages: Server (its next links), Client (by key, else by $skip), or Auto: "
            "the server with OData 4, the client with OData 2.",
            default="Auto",
            choices=("Auto", "Server", "Client"),
        ),
        Key(
            "PageSize",
            "Rows a page that the service is asked for; it may give fewer.",
            default="5000",
            neutral=True,
        ),
        Key("Timeout", "Seconds that one answer may take.", default="60", neutral=True),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a service; nothing is requested yet."""
        from tidewell.sources.odata.source import ODataSource

        return ODataSource(values, environment)


DRIVER = ODataDriver()
