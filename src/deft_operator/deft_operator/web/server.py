"""The web panel's server: pages, pictures, events, and the operator's answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from deft_operator.graph_link import GraphLink, Reply, Told
from deft_operator.view import as_json
from deft_operator.view_plots import NAMES, PlotCache
from deft_operator.web.access import COOKIE, Access

PAGES = Path(__file__).parent / "pages"
POLL_SECONDS, HEARTBEAT_SECONDS = 0.1, 1.0
HEADERS = {"Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
           "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


class Answer(BaseModel, extra="forbid"):
    """The operator's answer to the request that the page shows; the server of the session refuses another."""

    kind: Literal["reward", "reset", "compare"]
    session: str
    episode: int
    attempt: int
    question: int = 0
    reward: float | None = Field(default=None, ge=0.0, le=1.0)
    comparison: Literal["better", "equal", "worse"] | None = None
    voided: bool = False
    success: bool | None = None
    note: str = Field(default="", max_length=500)


class Amendment(BaseModel, extra="forbid"):
    """A new reward of an earlier episode; None makes it void."""

    session: str
    episode: int
    reward: float | None = Field(default=None, ge=0.0, le=1.0)
    note: str = Field(default="", max_length=500)


class Decision(BaseModel, extra="forbid"):
    """The operator's word on the planned grasp that the page shows."""

    session: str
    episode: int
    attempt: int
    draw: int
    decision: Literal["approve", "reject", "skip"]


class Control(BaseModel, extra="forbid"):
    """What is asked of the running session, or of the robot."""

    command: Literal["pause", "go_on", "skip", "repeat", "finish", "stop", "rearm"]


def make_app(link: GraphLink, access: Access) -> FastAPI:
    """The application; it shows and says what the link hears and takes."""
    app = FastAPI(title="DEFT operator", docs_url=None, redoc_url=None, openapi_url=None)
    plots = PlotCache()

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        """Nothing is answered to those who may not ask, and every answer says what a browser may do with it."""
        shown = request.cookies.get(COOKIE, "") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        given = request.query_params.get("token", "")
        refusal = access.refusal(request.url.hostname or "", given or shown)
        if refusal:
            response: Response = PlainTextResponse(refusal, 401 if access.token else 403)
        elif given and access.token:  # out of the address line and into a cookie
            response = RedirectResponse(request.url.path, 303)
            response.set_cookie(COOKIE, given, httponly=True, samesite="strict")
        elif request.method == "POST" and request.headers.get("Content-Type", "") != "application/json":
            response = PlainTextResponse("send application/json", 415)  # what a form of another site cannot
        else:
            response = await go_on(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    @app.get("/api/view")
    async def view() -> JSONResponse:
        return JSONResponse(as_json(link.view()))

    @app.get("/api/events")
    async def events(request: Request) -> StreamingResponse:
        return StreamingResponse(_events(link, request), media_type="text/event-stream")

    @app.get("/api/picture/{name}")
    async def picture(name: str) -> Response:
        data = link.view().picture(name)
        return Response(data, media_type="image/jpeg") if data else PlainTextResponse("no such picture now", 404)

    @app.get("/api/plot/{name}")
    def plot(name: str) -> Response:
        session = link.view().session
        if name not in NAMES or session is None or not session.residual_names:
            return PlainTextResponse("no such plot now", 404)
        return Response(plots.png(name, session), media_type="image/png")

    @app.post("/api/answer")
    async def answer(said: Answer) -> JSONResponse:
        request = link.view().request
        meant = (said.kind, said.session, said.episode, said.attempt, said.question)
        asked = request and (request.kind.value, request.session, request.episode, request.attempt, request.question)
        if request is None or asked != meant:
            return _replied(Reply(False, "this is not asked any more: somebody has answered it"))
        if said.voided or request.kind.value == "reset":
            return await _heard(lambda told: link.void(request, said.note, told))
        if request.kind.value == "compare":
            chosen = said.comparison
            if chosen is None:
                return _replied(Reply(False, "say better, equal or worse"))
            return await _heard(lambda told: link.compare(request, chosen, said.success, said.note, told))
        reward = said.reward
        if reward is None:
            return _replied(Reply(False, "give a reward from 0 to 1"))
        return await _heard(lambda told: link.score(request, reward, said.success, said.note, told))

    @app.post("/api/amend")
    async def amend(said: Amendment) -> JSONResponse:
        return await _heard(lambda told: link.amend(said.session, said.episode, said.reward, said.note, told))

    @app.post("/api/decide")
    async def decide(said: Decision) -> JSONResponse:
        proposal = link.view().proposal
        meant = (said.session, said.episode, said.attempt, said.draw)
        if proposal is None or (proposal.session, proposal.episode, proposal.attempt, proposal.draw) != meant:
            return _replied(Reply(False, "this grasp is not proposed any more"))
        return await _heard(lambda told: link.decide(proposal, said.decision, "on the web panel", told))

    @app.post("/api/control")
    async def control(said: Control) -> JSONResponse:
        if said.command == "stop":
            return await _heard(lambda told: link.stop("stopped on the web panel", told))
        if said.command == "rearm":
            return await _heard(link.rearm)
        return await _heard(lambda told: link.control(said.command, "on the web panel", told))

    app.mount("/", StaticFiles(directory=PAGES, html=True))
    return app


async def _events(link: GraphLink, request: Request) -> AsyncIterator[str]:
    """The view whenever it changes, and once a second."""
    before: tuple[int, bool] | None = None
    waited = 0.0
    while not await request.is_disconnected():
        view = link.view()
        now = (view.version, view.alive)
        if now != before or waited >= HEARTBEAT_SECONDS:
            yield f"data: {json.dumps(as_json(view))}\n\n"
            before, waited = now, 0.0
        await asyncio.sleep(POLL_SECONDS)
        waited += POLL_SECONDS


async def _heard(say: Callable[[Told], None]) -> JSONResponse:
    """Say something to the graph and wait for what became of it; the link always tells."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Reply] = loop.create_future()

    def told(reply: Reply) -> None:
        loop.call_soon_threadsafe(lambda: future.done() or future.set_result(reply))

    say(told)
    return _replied(await future)


def _replied(reply: Reply) -> JSONResponse:
    return JSONResponse({"accepted": reply.accepted, "message": reply.message}, 200 if reply.accepted else 409)


def settings(app: FastAPI, host: str, port: int) -> dict[str, Any]:
    """What uvicorn is to be run with."""
    return {"app": app, "host": host, "port": port, "log_level": "warning", "access_log": False, "timeout_graceful_shutdown": 2}
