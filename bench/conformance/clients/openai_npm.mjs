// The official `openai` package of npm: Chat Completions.
import OpenAI from "openai";
import { BASE, CITY, LONG, MODEL, QUESTION, TOO_LONG, TOOL_QUESTION, WEATHER, expect, expectError, expectFreed, report } from "./outcome.mjs";

const client = new OpenAI({ baseURL: BASE, apiKey: "any", maxRetries: 0, timeout: 60_000 });
const create = (text, more) =>
  client.chat.completions.create({ model: MODEL, messages: [{ role: "user", content: text }], temperature: 0, ...more });
const cities = ["Paris", "Rome"];

report("openai", {
  async chat() {
    const answer = await create(QUESTION, { max_tokens: 16 });
    expect(answer.choices[0].message.content.includes("Paris"), answer);
  },

  async stream() {
    const parts = [];
    for await (const chunk of await create(QUESTION, { max_tokens: 16, stream: true })) parts.push(chunk.choices[0]?.delta.content ?? "");
    expect(parts.join("").includes("Paris") && parts.length > 3, parts);
  },

  async tools() {
    const tools = [{ type: "function", function: { name: "weather", description: WEATHER, parameters: CITY } }];
    const answer = await create(TOOL_QUESTION, { tools, tool_choice: "required", max_tokens: 60 });
    const call = answer.choices[0].message.tool_calls[0].function;
    expect(call.name === "weather" && cities.includes(JSON.parse(call.arguments).city), call);
  },

  async json_schema() {
    const response_format = { type: "json_schema", json_schema: { name: "city", strict: true, schema: CITY } };
    const answer = await create(QUESTION, { response_format, max_tokens: 40 });
    expect(cities.includes(JSON.parse(answer.choices[0].message.content).city), answer);
  },

  async usage() {
    const { usage: plain } = await create(QUESTION, { max_tokens: 8 });
    let last;
    for await (last of await create(QUESTION, { max_tokens: 8, stream: true, stream_options: { include_usage: true } }));
    expect(plain.prompt_tokens > 5 && plain.completion_tokens > 0, plain);
    expect(last.usage.prompt_tokens === plain.prompt_tokens && last.usage.completion_tokens === plain.completion_tokens, last);
  },

  errors: () => expectError(OpenAI.BadRequestError, () => create(TOO_LONG, { max_tokens: 4 })),

  async cancellation() {
    const running = await create(LONG, { max_tokens: 900, stream: true, ignore_eos: true });
    for await (const _ of running) {
      await expectFreed(() => running.controller.abort());
      break;
    }
  },
});
