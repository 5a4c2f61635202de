"""LangChain's agent over the model that `switchgear connect langchain` wrote into connected.py."""

import asyncio
import base64
import json
import sys
from pathlib import Path

from connected import model
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field


class Answer(BaseModel):
    """A capital."""

    capital: str = Field(min_length=2)


@tool
def run_shell(command: str) -> str:
    """Run a command."""
    return command.removeprefix("echo ")


async def main(scenario: str, prompts: dict[str, str], picture: bytes) -> None:
    agent = create_agent(model, [run_shell])
    if scenario in {"loop", "second"}:
        history = agent.invoke({"messages": [HumanMessage(prompts["loop"])]})["messages"]
        print(history[-1].text)
        if scenario == "second":
            asked = {"messages": [*history, HumanMessage(prompts["second"])]}
            async for message, _ in agent.astream(asked, stream_mode="messages"):
                print(message.text, end="")
    elif scenario == "schema":
        print(model.with_structured_output(Answer).invoke(prompts["schema"]))
    elif scenario == "image":
        data = base64.b64encode(picture).decode()
        image = {"type": "image", "base64": data, "mime_type": "image/png"}
        print(model.invoke([HumanMessage([{"type": "text", "text": prompts["image"]}, image])]).text)
    else:
        model.invoke(prompts[scenario])


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]).read_bytes()))
