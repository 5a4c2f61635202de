"""The OpenAI Agents SDK over the model that `switchgear connect openai-agents` wrote into connected.py."""

import base64
from typing import Any

from agents import Agent, Runner, function_tool
from pydantic import BaseModel
from serve import serve


class Answer(BaseModel):
    """A capital."""

    capital: str


@function_tool
def run_shell(command: str) -> str:
    """Run a command."""
    return command.removeprefix("echo ")


async def main(model: Any, scenario: str, prompts: dict[str, str], picture: bytes) -> None:
    agent = Agent(name="tests", instructions="Help.", model=model, tools=[run_shell])
    if scenario in {"loop", "second"}:
        first = await Runner.run(agent, prompts["loop"])
        print(first.final_output)
        if scenario == "second":
            asked = [*first.to_input_list(), {"role": "user", "content": prompts["second"]}]
            stream = Runner.run_streamed(agent, asked)
            async for _ in stream.stream_events():
                pass
            print(stream.final_output)
    elif scenario == "schema":
        strict = Agent(name="tests", instructions="Help.", model=model, output_type=Answer)
        print((await Runner.run(strict, prompts["schema"])).final_output)
    elif scenario == "image":
        data = base64.b64encode(picture).decode()
        content = [
            {"type": "input_text", "text": prompts["image"]},
            {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"},
        ]
        print((await Runner.run(agent, [{"role": "user", "content": content}])).final_output)
    else:
        print((await Runner.run(agent, prompts[scenario])).final_output)


serve(main)
