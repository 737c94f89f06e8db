// The official `@anthropic-ai/sdk` package of npm: Messages.
import Anthropic from "@anthropic-ai/sdk";
import { CITY, LONG, MODEL, QUESTION, ROOT, TOO_LONG, TOOL_QUESTION, WEATHER, expect, expectError, expectFreed, report } from "./outcome.mjs";

const client = new Anthropic({ baseURL: ROOT, apiKey: "any", maxRetries: 0, timeout: 60_000 });
const asked = (text, more) => ({ model: MODEL, messages: [{ role: "user", content: text }], temperature: 0, ...more });
const create = (text, more) => client.messages.create(asked(text, more));
const cities = ["Paris", "Rome"];
const read = (usage) => usage.input_tokens + (usage.cache_read_input_tokens ?? 0);

report("@anthropic-ai/sdk", {
  async chat() {
    const answer = await create(QUESTION, { max_tokens: 16 });
    expect(answer.content[0].text.includes("Paris"), answer);
  },

  async stream() {
    const parts = [];
    await client.messages.stream(asked(QUESTION, { max_tokens: 16 })).on("text", (text) => parts.push(text)).done();
    expect(parts.join("").includes("Paris") && parts.length > 3, parts);
  },

  async tools() {
    const tools = [{ name: "weather", description: WEATHER, input_schema: CITY }];
    const answer = await create(TOOL_QUESTION, { tools, tool_choice: { type: "any" }, max_tokens: 60 });
    const call = answer.content.find((block) => block.type === "tool_use");
    expect(call.name === "weather" && cities.includes(call.input.city) && answer.stop_reason === "tool_use", answer);
  },

  async json_schema() {
    const answer = await create(QUESTION, { output_config: { format: { type: "json_schema", schema: CITY } }, max_tokens: 40 });
    expect(cities.includes(JSON.parse(answer.content[0].text).city), answer);
  },

  async usage() {
    const { usage: plain } = await create(QUESTION, { max_tokens: 8 });
    const { usage: last } = await client.messages.stream(asked(QUESTION, { max_tokens: 8 })).finalMessage();
    expect(read(plain) > 5 && plain.output_tokens > 0, plain);
    expect(read(last) === read(plain) && last.output_tokens === plain.output_tokens, last);
  },

  errors: () => expectError(Anthropic.BadRequestError, () => create(TOO_LONG, { max_tokens: 4 })),

  async cancellation() {
    const running = await create(LONG, { max_tokens: 900, stream: true, ignore_eos: true });
    for await (const event of running) {
      if (event.type !== "content_block_delta") continue;
      await expectFreed(() => running.controller.abort());
      break;
    }
  },
});
