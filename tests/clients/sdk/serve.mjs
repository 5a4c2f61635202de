// Runs scenarios as they are asked for on standard input, one JSON object a line; each ends with a line of its own.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

export async function serve(main) {
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    try {
      const { model } = await import(pathToFileURL(asked.connected).href);
      await main(model, asked.scenario, asked.prompts, asked.picture);
    } catch (error) {
      console.log(error);
    }
    console.log("\n[end of scenario]");
  }
}
