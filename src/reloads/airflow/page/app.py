"""The web application of the page: its files and its JSON API, mounted into Airflow's API server."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import get_user
from airflow.configuration import conf
from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse

from reloads.airflow.page import asking, requests, runs, static_files, steering, tables
from reloads.airflow.page.cross_site import CrossSiteGuard
from reloads.airflow.page.headers import SafeHeaders
from reloads.airflow.page.refusals import REFUSALS, answer_errors

DESCRIPTION = "What the Warehouse page of Airflow shows and does; errors are one sentence under `detail`."
API = "/api"
STATIC = "/static"


def make_app() -> FastAPI:
    """The application; its description is at ``openapi.json``. Nothing of it answers without a login."""
    app = FastAPI(
        title="Reloads",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(get_user)],
    )
    for part in (tables, requests, asking, steering, runs):
        app.include_router(part.router, prefix=API, responses=REFUSALS)
    app.include_router(static_files.router, prefix=STATIC, include_in_schema=False)

    @app.get("/openapi.json", include_in_schema=False)
    def describe() -> JSONResponse:
        return JSONResponse(app.openapi())

    answer_errors(app)
    # The last one added is the outermost.
    app.add_middleware(CrossSiteGuard, base_url=conf.get("api", "base_url", fallback=""))
    app.add_middleware(SafeHeaders, files=f"{STATIC}/")
    return app
