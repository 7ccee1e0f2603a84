"""The routes, as FastAPI knows them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Receive

from striate.deploy.serve import bodies, metrics
from striate.deploy.serve.access import Access
from striate.deploy.serve.answers import Refusal, own_mistake, predictions_body, refusal_body
from striate.deploy.serve.front import KEY, Exchange, Front
from striate.deploy.serve.information import information
from striate.deploy.serve.schema import ANSWERS, PREDICT, PREDICT_ANSWERS, Information, Predictions, State
from striate.deploy.serve.service import Service
from striate.version import __version__

_LIST = "GET /openapi.json lists what there is"
_BY_STATUS = {
    404: ("not_found", "no such route", _LIST),
    405: ("method_not_allowed", "this route does not take this method", _LIST),
}


def application(service: Service, access: Access) -> Front:
    """Return the ASGI application that answers for a service."""
    app = FastAPI(
        title="Striate",
        version=__version__,
        description="Classifies pictures by a trained network.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=ANSWERS,
    )

    async def predict(exchange: Exchange, query: bytes, receive: Receive) -> bytes:
        return await _predict(service, exchange, query, receive)

    @app.post(
        "/predict",
        summary="Classify pictures",
        response_model=Predictions,
        openapi_extra=PREDICT,
        responses=PREDICT_ANSWERS,
    )
    async def described(request: Request) -> Response:  # Front answers it
        body = await predict(request.scope[KEY], request.scope["query_string"], request.receive)
        return Response(body, media_type="application/json")

    @app.get("/info", summary="What is served, and within what limits", response_model=Information)
    async def info(request: Request) -> Response:
        return JSONResponse(information(service))

    @app.get("/live", summary="Whether the process runs", response_model=State)
    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live"})

    @app.get("/ready", summary="Whether it takes requests", response_model=State)
    async def ready(request: Request) -> Response:
        if reason := service.not_ready():
            raise Refusal(503, "not_ready", reason, "ask again", {"retry-after": "1"})
        return JSONResponse({"status": "ready"})

    @app.get("/metrics", summary="Counters, for Prometheus", response_class=Response)
    async def figures(request: Request) -> Response:
        return Response(service.metrics.text(), headers={"content-type": metrics.CONTENT_TYPE})

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return _refused(error, request.scope[KEY].request_id)

    async def by_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, message, fix = _BY_STATUS.get(error.status_code, ("refused", str(error.detail), "see the documentation"))
        return _refused(Refusal(error.status_code, code, message, fix, error.headers), request.scope[KEY].request_id)

    async def mistaken(request: Request, error: Exception) -> Response:  # raised again: Front tells the log of it
        return _refused(own_mistake(), request.scope[KEY].request_id)

    app.add_exception_handler(Exception, mistaken)
    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(HTTPException, by_route)
    return Front(predict, app, service, access)


async def _predict(service: Service, exchange: Exchange, query: bytes, receive: Receive) -> bytes:
    settings, admission, served = service.settings, service.admission, service.served
    top = _top(query, len(served.predictor.classes))
    content_type = bodies.check_head(exchange.headers, settings.max_bytes)
    admission.look(bodies.is_long(exchange.headers))
    body = await bodies.receive_body(receive, settings.max_bytes, admission)
    try:
        pictures = bodies.pictures_in(body, content_type, settings.queue)
        exchange.pictures = len(pictures)
        outcomes = await service.predict(pictures, exchange.gone)
    finally:
        admission.let_go(len(body))
    service.count(outcomes)
    return predictions_body(outcomes, [name for name, _ in pictures], top, served.name, exchange.request_id)


def _top(query: bytes, classes: int) -> int | None:
    """Return the K of '?top=K': Refusal 400 where there is anything else."""
    if not query:
        return None
    name, _, value = query.partition(b"=")
    if name != b"top" or not value.isdigit() or len(value) > 9 or not 1 <= int(value) <= classes:
        message = "the only query is top=K"
        raise Refusal(400, "wrong_query", message, f"/predict?top=K, with K a whole number from 1 to {classes}")
    return int(value)


def _refused(refusal: Refusal, request_id: str) -> Response:
    headers: dict[str, Any] = {**refusal.headers, **({"connection": "close"} if refusal.close else {})}
    return Response(refusal_body(refusal, request_id), refusal.status, headers, "application/json")
