"""Sub-accounts and the audit (contract §7), as the API answers them."""

from typing import Any

from pydantic import ConfigDict

from tidewell.api.answers.base import ACCOUNT, JOB, Answer, Id, Time

_MADE = "2026-03-02T08:00:00.000Z"
_ACCOUNT: dict[str, Any] = {
    "id": ACCOUNT,
    "externalId": "acme",
    "accountName": "Acme Ltd",
    "created": _MADE,
}


class Account(Answer):
    """A sub-account: a customer of the vendor."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCOUNT]})

    id: Id
    external_id: str | None
    """The vendor's own id of it."""
    account_name: str
    created: Time


class Accounts(Answer):
    """Sub-accounts, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"accounts": [_ACCOUNT]}]})

    accounts: list[Account]


class CreatedAccount(Answer):
    """The sub-account that was made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"accountId": ACCOUNT, "externalId": "acme", "createdTime": _MADE}]
        }
    )

    account_id: Id
    external_id: str | None
    created_time: Time


class AuditEvent(Answer):
    """Something that was written."""

    event_type: int
    timestamp: Time
    target_id: Id
    """What it was done to."""
    target_name: str
    target_type: int
    user_id: Id
    """The sub-account, or the vendor where it did so for itself."""
    user_name: str
    user_type: int
    action: str
    """As `job.create`."""
    account_id: Id | None
    request_id: str


class AuditEvents(Answer):
    """What was written, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {
                            "eventType": 1201,
                            "timestamp": _MADE,
                            "targetId": JOB,
                            "targetName": "Categories",
                            "targetType": 3,
                            "userId": ACCOUNT,
                            "userName": "Acme Ltd",
                            "userType": 0,
                            "action": "job.create",
                            "accountId": ACCOUNT,
                            "requestId": "9d9f5b6e-8f1c-4a7e-b1f7-2f6f4a1f6f0e",
                        }
                    ]
                }
            ]
        }
    )

    events: list[AuditEvent]
