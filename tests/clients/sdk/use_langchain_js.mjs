// LangChain.js' agent over the model that `switchgear connect langchain-js` wrote into connected.mjs.
import { readFileSync } from "node:fs";
import { createAgent, HumanMessage, tool } from "langchain";
import { z } from "zod";
import { serve } from "./serve.mjs";

const runShell = tool(({ command }) => command.replace(/^echo /, ""), {
  name: "run_shell",
  description: "Run a command.",
  schema: z.object({ command: z.string() }),
});
async function main(model, scenario, prompts, picture) {
  const agent = createAgent({ model, tools: [runShell] });

  if (scenario === "loop" || scenario === "second") {
    const { messages } = await agent.invoke({ messages: [new HumanMessage(prompts.loop)] });
    console.log(messages.at(-1).text);
    if (scenario === "second") {
      const asked = { messages: [...messages, new HumanMessage(prompts.second)] };
      for await (const [message] of await agent.stream(asked, { streamMode: "messages" })) process.stdout.write(message.text);
    }
  } else if (scenario === "schema") {
    console.log(await model.withStructuredOutput(z.object({ capital: z.string().min(2) })).invoke(prompts.schema));
  } else if (scenario === "image") {
    const content = [
      { type: "text", text: prompts.image },
      { type: "image_url", image_url: { url: `data:image/png;base64,${readFileSync(picture).toString("base64")}` } },
    ];
    console.log((await model.invoke([new HumanMessage({ content })])).text);
  } else {
    console.log((await model.invoke(prompts[scenario])).text);
  }
}

await serve(main);
