"""Calls around jobs, once for both clients: webhooks, links to hosted pages, and logs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tidewell.client._flows import Flow, call, segment, time_of
from tidewell.client._models import AuditEvent, Delivery, QueryEntry, QueryLog, Webhook


def list_webhooks() -> Flow[list[Webhook]]:
    """The sub-account's webhooks; their secrets are masked."""
    answer = yield from call("GET", "/api/webhooks")
    return [Webhook.model_validate(one) for one in answer["webhooks"]]


def create_webhook(url: str, events: Sequence[str] = (), *, enabled: bool = True) -> Flow[Webhook]:
    """Have events told to an address; none: all. The answer alone shows the secret."""
    body = _webhook_body(url, events, enabled=enabled)
    return _webhook((yield from call("POST", "/api/webhooks", body)))


def get_webhook(webhook_id: str) -> Flow[Webhook]:
    """One webhook."""
    return _webhook((yield from call("GET", f"/api/webhooks/{segment(webhook_id)}")))


def update_webhook(
    webhook_id: str,
    url: str,
    events: Sequence[str] = (),
    *,
    enabled: bool = True,
    new_secret: bool = False,
) -> Flow[Webhook]:
    """Replace a webhook's settings; with `new_secret` the answer shows another secret."""
    body = _webhook_body(url, events, enabled=enabled) | {"newSecret": new_secret}
    return _webhook((yield from call("PUT", f"/api/webhooks/{segment(webhook_id)}", body)))


def delete_webhook(webhook_id: str) -> Flow[None]:
    """Tell nothing there any more."""
    yield from call("DELETE", f"/api/webhooks/{segment(webhook_id)}")


def try_webhook(webhook_id: str) -> Flow[str]:
    """Send an event `webhook.test`; returns the id of its delivery."""
    answer = yield from call("POST", f"/api/webhooks/{segment(webhook_id)}/test")
    return str(answer["deliveryId"])


def list_deliveries(webhook_id: str) -> Flow[list[Delivery]]:
    """What became of the events of a webhook, newest first."""
    answer = yield from call("GET", f"/api/webhooks/{segment(webhook_id)}/deliveries")
    return [Delivery.model_validate(one) for one in answer["deliveries"]]


def _webhook_body(url: str, events: Sequence[str], *, enabled: bool) -> dict[str, Any]:
    return {"url": url, "enabled": enabled} | ({"events": list(events)} if events else {})


def _webhook(answer: Any) -> Webhook:
    return Webhook.model_validate(answer["webhook"])


def jobs_link(redirect_url: str = "") -> Flow[str]:
    """A link to the pages on which a customer sees and steers its jobs."""
    body = {"redirectURL": redirect_url} if redirect_url else {}
    return str((yield from call("POST", "/api/poweredby/jobs", body))["redirectURL"])


def connection_link(
    redirect_url: str, driver: str = "", *, name: str = "", external_id: str | None = None
) -> Flow[str]:
    """A link to the form in which a customer makes a connection; no driver: it chooses one."""
    body = {
        "redirectURL": redirect_url,
        "dataSource": driver or None,
        "name": name or None,
        "externalId": external_id,
    }
    return str((yield from call("POST", "/api/poweredby/connection/create", body))["redirectURL"])


def edit_link(connection_id: str, redirect_url: str) -> Flow[str]:
    """A link to the form in which a customer changes a connection."""
    path = f"/api/poweredby/connection/edit/{segment(connection_id)}"
    return str((yield from call("POST", path, {"redirectURL": redirect_url}))["redirectURL"])


def list_queries(
    start: datetime | None = None, end: datetime | None = None
) -> Flow[list[QueryEntry]]:
    """What was asked, newest first."""
    answer = yield from call("POST", "/api/log/query/list", _span(start, end))
    return [QueryEntry.model_validate(one) for one in answer["queries"]]


def get_query(query_id: str) -> Flow[QueryLog]:
    """One query with its log."""
    answer = yield from call("GET", f"/api/log/query/get/{segment(query_id)}")
    return QueryLog.model_validate(answer)


def list_audit(
    start: datetime | None = None, end: datetime | None = None
) -> Flow[list[AuditEvent]]:
    """What was written, and by whom."""
    answer = yield from call("POST", "/api/log/audit/list", _span(start, end))
    return [AuditEvent.model_validate(one) for one in answer["events"]]


def _span(start: datetime | None, end: datetime | None) -> dict[str, str]:
    given = {"startTime": start, "endTime": end}
    return {name: time_of(moment) for name, moment in given.items() if moment is not None}
