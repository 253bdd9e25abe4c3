"""What the API server shows without a login."""

from __future__ import annotations

import login_first
import pytest


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/api/v2/monitor/health", True),
        ("/api/v2/auth/login", True),
        ("/api/v2/auth/logout", True),
        ("/auth/token", True),
        ("/auth/static/assets/index.js", True),
        ("/execution/task-instances/1/run", True),
        ("/edge_worker/v1/jobs/fetch/one", True),
        ("/", False),
        ("/auth", False),
        ("/authority", False),
        ("/auth/openapi.json", False),
        ("/execution/docs", False),
        ("/edge_worker/v1/health", False),
        ("/edge_worker/docs", False),
        ("/edge_worker/ui/worker", False),
        ("/openapi.json", False),
        ("/static/index.html", False),
        ("/api/v2/version", False),
        ("/api/v2/monitor/health/", False),
        ("/api/v2/auth/login/../../dags", False),
    ],
)
def test_what_needs_no_login_is_health_login_and_what_checks_for_itself(path: str, *, is_open: bool) -> None:
    assert login_first.is_open(path) is is_open
