"""A FastAPI service that answers by whichever provider can: `uvicorn examples.fastapi_app:app`.

One engine, opened on the server's own loop and shared by all requests. A caller who hangs up
cancels its request, which is settled then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from understudy import Request as Ask, UnderstudyError
from understudy.bridges import AsyncioEngine


class Question(BaseModel):
    """What a caller sends."""

    prompt: str
    max_cost_usd: float = 0.05


class Answer(BaseModel):
    """What a caller gets."""

    text: str
    provider: str
    cost_usd: float | None
    attempts: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One engine for as long as the service runs; its configuration is in UNDERSTUDY_CONFIG."""
    async with AsyncioEngine.open() as engine:
        app.state.engine = engine
        yield


app = FastAPI(lifespan=lifespan)


def the_engine(request: Request) -> AsyncioEngine:
    """The service's engine."""
    engine: AsyncioEngine = request.app.state.engine
    return engine


Engine = Annotated[AsyncioEngine, Depends(the_engine)]


@app.post("/ask")
async def ask(question: Question, engine: Engine) -> Answer:
    """A whole answer."""
    try:
        result = await engine.route(_asked(question))
    except UnderstudyError as error:
        raise HTTPException(503, str(error)) from error
    return Answer(
        text=result.text,
        provider=result.provider,
        cost_usd=result.cost_usd,
        attempts=len(result.attempts),
    )


@app.post("/stream")
async def stream(question: Question, engine: Engine) -> StreamingResponse:
    """An answer piece by piece; who fails before the first one is followed by somebody else."""

    async def pieces() -> AsyncIterator[str]:
        async with engine.stream(_asked(question)) as answer:
            async for piece in answer:
                yield getattr(piece, "text", "")

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/health")
async def health(engine: Engine) -> dict[str, int | str]:
    """How the providers are."""
    status = engine.status()
    return {"health": status.health, "healthy": status.healthy, "total": status.total}


def _asked(question: Question) -> Ask:
    return Ask.chat(question.prompt, max_cost_usd=question.max_cost_usd)
