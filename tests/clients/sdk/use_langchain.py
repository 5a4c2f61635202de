"""LangChain's agent over the model that `switchgear connect langchain` wrote into connected.py."""

import base64
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from serve import serve


class Answer(BaseModel):
    """A capital."""

    capital: str = Field(min_length=2)


@tool
def run_shell(command: str) -> str:
    """Run a command."""
    return command.removeprefix("echo ")


async def main(model: Any, scenario: str, prompts: dict[str, str], picture: bytes) -> None:
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
        print(model.invoke(prompts[scenario]).text)


serve(main)
