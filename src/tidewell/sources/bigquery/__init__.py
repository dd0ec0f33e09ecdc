"""BigQuery, over its REST API."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidewell.sources.protocol import Environment, Key, Source


@dataclass(frozen=True)
class BigQueryDriver:
    """The driver `BigQuery`; the schemas are the project's datasets."""

    name: str = "BigQuery"
    dialect: str = ""
    several_schemas: bool = True
    keys: tuple[Key, ...] = (
        Key("ProjectId", "Project that the datasets are in.", required=True),
        Key("DatasetId", "The one dataset to read; empty: all of the project."),
        Key(
            "BillingProjectId", "Project that pays for the queries; empty: the same.", neutral=True
        ),
        Key(
            "AuthScheme",
            "How to sign in: by a service account's key, or by an access token.",
            default="OAuthJWT",
            choices=("OAuthJWT", "OAuth"),
        ),
        Key(
            "OAuthJWTCert",
            "The service account's key, as its JSON file has it; for OAuthJWT.",
            secret=True,
            only_with=("AuthScheme=OAuthJWT",),
        ),
        Key(
            "OAuthAccessToken",
            "Access token, for OAuth.",
            secret=True,
            only_with=("AuthScheme=OAuth",),
        ),
        Key("URL", "Another root than https://bigquery.googleapis.com, if the operator lists it."),
        Key("Timeout", "Seconds that one answer may take.", default="300", neutral=True),
    )

    def open(self, values: Mapping[str, str], environment: Environment) -> Source:
        """A source over a project; nothing is sent yet."""
        from tidewell.sources.bigquery.source import BigQuerySource

        return BigQuerySource(values, environment)


DRIVER = BigQueryDriver()
