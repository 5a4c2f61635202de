"""Pydantic AI's agent over the model that `switchgear connect pydantic-ai` wrote into connected.py."""

from typing import Any

from pydantic import BaseModel, Field
from pydantic_ai import Agent, BinaryContent, NativeOutput
from serve import serve


class Answer(BaseModel):
    """A capital."""

    capital: str = Field(min_length=2)


def run_shell(command: str) -> str:
    """Run a command."""
    return command.removeprefix("echo ")


async def main(model: Any, scenario: str, prompts: dict[str, str], picture: bytes) -> None:
    agent = Agent(model, tools=[run_shell])
    if scenario in {"loop", "second"}:
        first = await agent.run(prompts["loop"])
        print(first.output)
        if scenario == "second":
            async with agent.run_stream(prompts["second"], message_history=first.all_messages()) as stream:
                print(await stream.get_output())
    elif scenario == "schema":
        for kind in (Answer, NativeOutput(Answer)):  # as a tool, and as the provider's own
            print((await Agent(model, output_type=kind).run(prompts["schema"])).output)
    elif scenario == "image":
        image = BinaryContent(picture, media_type="image/png")
        print((await agent.run([prompts["image"], image])).output)
    else:
        print((await agent.run(prompts[scenario])).output)


serve(main)
