// The AI SDK over the model that `switchgear connect vercel-ai` wrote into connected.mjs.
import { readFileSync } from "node:fs";
import { generateText, stepCountIs, streamText, Output, tool } from "ai";
import { z } from "zod";
import { serve } from "./serve.mjs";

const tools = {
  run_shell: tool({
    description: "Run a command.",
    inputSchema: z.object({ command: z.string() }),
    execute: async ({ command }) => command.replace(/^echo /, ""),
  }),
};
const stopWhen = stepCountIs(10);

async function main(model, scenario, prompts, picture) {
  if (scenario === "loop" || scenario === "second") {
    const messages = [{ role: "user", content: prompts.loop }];
    const first = await generateText({ model, tools, stopWhen, messages });
    console.log(first.text);
    if (scenario === "second") {
      const asked = [...messages, ...first.responseMessages ?? first.response.messages, { role: "user", content: prompts.second }];
      const stream = streamText({ model, tools, stopWhen, messages: asked });
      for await (const piece of stream.textStream) process.stdout.write(piece);
    }
  } else if (scenario === "schema") {
    const schema = z.object({ capital: z.string().min(2) });
    const answer = await generateText({ model, output: Output.object({ schema }), prompt: prompts.schema });
    console.log(answer.output);
  } else if (scenario === "image") {
    const content = [
      { type: "text", text: prompts.image },
      { type: "file", data: readFileSync(picture), mediaType: "image/png" },
    ];
    console.log((await generateText({ model, messages: [{ role: "user", content }] })).text);
  } else {
    console.log((await generateText({ model, prompt: prompts[scenario] })).text);
  }
}

await serve(main);
