"""OpenAI's SDK for Node talks to the gateway, where Node and the package are there.

Nothing is fetched: `npm install --no-save openai` at the root, or a folder of packages named by
`NODE_PATH`, is what makes it run.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.engine.gateway.service import decode, on_loop, oracle, serving

ROOT: Final = Path(__file__).parents[3]
SCRIPT: Final = """
const OpenAI = require("openai");
const client = new OpenAI({ baseURL: process.argv[1], apiKey: "sk-test", maxRetries: 0 });
const messages = [{ role: "user", content: "hello" }];
(async () => {
  const whole = await client.chat.completions.create({ model: "auto", messages });
  const stream = await client.chat.completions.create({ model: "auto", messages, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  let refused = null;
  try {
    await client.chat.completions.create({ model: "nobody", messages });
  } catch (error) {
    refused = [error.status, error.code, typeof error.requestID];
  }
  const said = whole.choices[0].message.content;
  console.log(JSON.stringify({ said, id: typeof whole._request_id, text, refused }));
})();
"""


async def node(*arguments: str) -> tuple[int, bytes]:
    """What a script prints; nonzero if it fails."""
    program = shutil.which("node")
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program,
        "-e",
        *arguments,
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "NODE_PATH") if name in os.environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
@on_loop
async def test_the_sdk_for_node_chats_and_streams() -> None:
    code, _ = await node('require.resolve("openai")')
    if code:
        pytest.skip("there is no openai for node here: npm install --no-save openai")
    async with serving(oracle=oracle) as service:
        code, said = await node(SCRIPT, f"{service.url}/v1")
    assert code == 0, said
    assert decode(said) == {
        "said": "you said: hello",
        "id": "string",
        "text": "you said: hello",
        "refused": [404, "no_provider", "string"],
    }
