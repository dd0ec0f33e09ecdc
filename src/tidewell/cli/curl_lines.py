"""The calls of the Job API as `curl` lines that can be pasted as they stand."""

import json
import shlex
from typing import Any


def curl_lines(address: str, token: str, job: Any, connection_id: str) -> str:
    """A line for every call; the first one sets the token for all."""
    body = {
        "jobType": "Caching",
        "intervalUnit": "Hour",
        "intervalValue": "1",
        "logVerbosity": "1",
        "enabled": "true",
    }
    params = {
        "timeCheckColumn": "",
        "autoTruncateStrings": "false",
        "sourceConnection": connection_id,
        "sourceName": job["params"]["sourceName"],
        "sourceSchema": job["params"]["sourceSchema"],
    }
    create = body | {"params": params | {"sourceTable": "airlines"}}
    update = body | {
        "intervalValue": "2",
        "params": params | {"sourceTable": job["params"]["sourceTable"]},
    }
    path = f"/api/job/{job['id']}"
    calls: list[tuple[str, str, str, Any]] = [
        ("list the jobs", "GET", "/api/job/list", None),
        ("show one", "GET", path, None),
        ("make one", "POST", "/api/job/create", create),
        ("change one", "PUT", f"{path}/update", update),
        ("run it now", "POST", f"{path}/run", None),
        ("stop it", "POST", f"{path}/stop", None),
        ("its runs", "GET", f"{path}/runs", None),
        ("delete it, with its cached table", "DELETE", f"{path}/delete", None),
        (
            "set the cache connection (fill in your own)",
            "POST",
            "/api/job/cacheConnection",
            {"connectionString": "Server=db.example.com;User=me;Password=secret;Database=mine"},
        ),
        (
            "or a link to a page where the customer does it",
            "POST",
            "/api/job/cacheConnection/formLink",
            {"redirectURL": "https://app.example.com/done"},
        ),
    ]
    lines = [f"TOKEN={token}"]
    for comment, method, route, payload in calls:
        line = f'curl -s -X {method} {address}{route} -H "Authorization: Bearer $TOKEN"'
        if payload is not None:
            line += " -H 'Content-Type: application/json' -d " + shlex.quote(json.dumps(payload))
        lines += ["", f"# {comment}", line]
    return "\n".join(lines)
