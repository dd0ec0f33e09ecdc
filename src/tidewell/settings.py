"""Settings, all from the environment (`TIDEWELL_…`), each with the text that `--help` shows."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tidewell.egress import EgressRules

_MOST_BY_ITSELF = 4
"""Processes of one load where nobody has said how many."""


class Settings(BaseSettings):
    """What an operator can set. A field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix="TIDEWELL_", frozen=True, extra="ignore")

    home: Path = Field(
        default=Path(".tidewell"),
        description="Folder of the embedded PostgreSQL, the secret key and the demo's files.",
    )
    database_url: SecretStr = Field(
        default=SecretStr(""),
        description="PostgreSQL of the state, postgresql://user:password@host/db; empty: embedded.",
    )
    database_direct_url: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "The same database past a pooler, where TIDEWELL_DATABASE_URL is a PgBouncer in "
            "transaction mode: for what needs a session (notices of the queue, upgrades, "
            "commands); empty: there is no pooler."
        ),
    )
    base_url: str = Field(
        default="",
        description="Public address of this service, for links; empty: http://<host>:<port>.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "Encrypts stored credentials; a comma separates a new key from older ones; empty: "
            "made once, kept in TIDEWELL_HOME (0600)."
        ),
    )
    run_concurrency: int = Field(
        default=4, ge=1, le=256, description="Runs that one worker executes at a time."
    )
    account_concurrency: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Runs of one account at a time, over all workers; the same on all nodes.",
    )
    run_processes: int = Field(
        default=0,
        ge=0,
        le=64,
        description=(
            "Processes that load one large table for the first time, a range of its key each; 1: "
            "never more than one; 0: half as many as there are processors, at most 4."
        ),
    )
    run_processes_rows: int = Field(
        default=1_000_000,
        ge=1_000,
        description=(
            "Rows from which a table is large enough for TIDEWELL_RUN_PROCESSES; less where "
            "sources are far or slow."
        ),
    )
    shutdown_grace: int = Field(
        default=10,
        ge=0,
        le=3600,
        description=(
            "Seconds that running runs get to finish when a worker is asked to end; then they "
            "go back to the queue."
        ),
    )
    query_concurrency: int = Field(
        default=8, ge=1, le=256, description="Queries that this process runs at a time."
    )
    query_account_concurrency: int = Field(
        default=4, ge=1, le=256, description="Queries that one account may run at a time."
    )
    query_max_rows: int = Field(
        default=10_000_000, ge=1, description="Rows that the answer to one query may have."
    )
    query_memory: str = Field(
        default="1GB",
        pattern=r"^[1-9][0-9]{0,5}(MB|GB)$",
        description="Memory that one query may use before it goes to disk, as 512MB or 2GB.",
    )
    files_root: str = Field(
        default="",
        description="Folders that the Files driver may read, separated by ':'; empty: none.",
    )
    manifests: Path | None = Field(
        default=None,
        description="Folder of Airbyte manifests (*.yaml), each a driver of its file's name.",
    )
    egress_allow: str = Field(
        default="",
        description=(
            "Private networks, addresses or hosts that customers may name, separated by commas, "
            "as 10.1.0.0/16,db.internal:5432; empty: only public ones."
        ),
    )
    requests_per_minute: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Most calls of one account in a minute, at each process; 0: no bound.",
    )
    keep_log_days: int = Field(
        default=7, ge=1, le=3650, description="Days that the lines of runs' logs are kept."
    )
    keep_query_days: int = Field(
        default=7, ge=1, le=3650, description="Days that the log of queries is kept."
    )
    keep_run_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description=(
            "Days that runs are kept; a job's newest and its last success stay for as long as the "
            "job."
        ),
    )
    keep_delivery_days: int = Field(
        default=7, ge=1, le=3650, description="Days that deliveries of webhooks are kept."
    )
    keep_audit_days: int = Field(
        default=400, ge=1, le=36_500, description="Days that the audit is kept."
    )
    log: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level that the process logs."
    )

    @field_validator("egress_allow")
    @classmethod
    def _egress_rules(cls, text: str) -> str:
        EgressRules.parse(text)
        return text

    def most_run_processes(self) -> int:
        """The processes of `run_processes`, on this machine."""
        by_itself = min((os.cpu_count() or 1) // 2, _MOST_BY_ITSELF)
        return self.run_processes or max(by_itself, 1)

    def file_roots(self) -> tuple[Path, ...]:
        """The folders of `files_root`, resolved."""
        return tuple(Path(part).resolve() for part in self.files_root.split(":") if part)
