"""Webhooks and their deliveries, as the API answers them."""

from pydantic import ConfigDict, JsonValue

from tidewell.api.answers.base import ACCOUNT, JOB, RUN, Answer, Id, Time

WEBHOOK = "5d0c4c3e-62c1-4f0f-9d2b-6f6b7a3b9a10"
_MADE = "2026-03-02T08:00:00.000Z"
_WEBHOOK: dict[str, JsonValue] = {
    "id": WEBHOOK,
    "accountId": ACCOUNT,
    "url": "https://app.example/hooks/tidewell",
    "events": ["run.failed", "run.recovered"],
    "enabled": True,
    "secret": "********",
    "created": _MADE,
    "lastModified": _MADE,
}


class WebhookRecord(Answer):
    """Where a sub-account is told of events."""

    id: Id
    account_id: Id
    url: str
    events: list[str]
    """The types of events that it is told; none: all of them."""
    enabled: bool
    secret: str
    """Signs the deliveries (Standard Webhooks); shown when it is made, masked ever after."""
    created: Time
    last_modified: Time


class Webhook(Answer):
    """One webhook."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"webhook": _WEBHOOK}]})

    webhook: WebhookRecord


class Webhooks(Answer):
    """The sub-account's webhooks, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"webhooks": [_WEBHOOK]}]})

    webhooks: list[WebhookRecord]


class DeliveryRecord(Answer):
    """An event that has been, or has to be, delivered."""

    id: Id
    event: str
    created: Time
    attempts: int
    status: int | None
    """What the receiver answered at the latest attempt; null: nothing."""
    error: str | None
    """Why the latest attempt did not work."""
    delivered: Time
    next_attempt: Time
    payload: dict[str, object]


class Deliveries(Answer):
    """The deliveries of a webhook, newest first; kept 7 days."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "deliveries": [
                        {
                            "id": "0a3b1c9e-0d5e-4c6f-8a7f-1b2c3d4e5f60",
                            "event": "run.failed",
                            "created": _MADE,
                            "attempts": 1,
                            "status": 204,
                            "error": None,
                            "delivered": _MADE,
                            "nextAttempt": "0001-01-01T00:00:00Z",
                            "payload": {
                                "type": "run.failed",
                                "timestamp": _MADE,
                                "data": {"jobId": JOB, "runId": RUN},
                            },
                        }
                    ]
                }
            ]
        }
    )

    deliveries: list[DeliveryRecord]


class WebhookTest(Answer):
    """A test event has been queued."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"deliveryId": "0a3b1c9e-0d5e-4c6f-8a7f-1b2c3d4e5f60"}]}
    )

    delivery_id: Id
