// Vercel's `ai` package of npm over `@ai-sdk/openai-compatible`: Chat Completions.
import { APICallError, Output, generateText, jsonSchema, streamText, tool } from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { BASE, CITY, LONG, MODEL, QUESTION, TOO_LONG, TOOL_QUESTION, WEATHER, expect, expectError, expectFreed, report } from "./outcome.mjs";

const provider = createOpenAICompatible({ name: "here", baseURL: BASE, apiKey: "any", includeUsage: true, supportsStructuredOutputs: true });
const asked = (prompt, more) => ({ model: provider(MODEL), prompt, temperature: 0, maxRetries: 0, ...more });
const cities = ["Paris", "Rome"];

report("ai", {
  async chat() {
    const { text } = await generateText(asked(QUESTION, { maxOutputTokens: 16 }));
    expect(text.includes("Paris"), text);
  },

  async stream() {
    const parts = [];
    for await (const part of streamText(asked(QUESTION, { maxOutputTokens: 16 })).textStream) parts.push(part);
    expect(parts.join("").includes("Paris") && parts.length > 3, parts);
  },

  async tools() {
    const tools = { weather: tool({ description: WEATHER, inputSchema: jsonSchema(CITY) }) };
    const { toolCalls } = await generateText(asked(TOOL_QUESTION, { tools, toolChoice: "required", maxOutputTokens: 60 }));
    expect(toolCalls[0].toolName === "weather" && cities.includes(toolCalls[0].input.city), toolCalls);
  },

  async json_schema() {
    const output = Output.object({ schema: jsonSchema(CITY), name: "city" });
    const answer = await generateText(asked(QUESTION, { output, maxOutputTokens: 40 }));
    expect(cities.includes(answer.output.city), answer.text);
  },

  async usage() {
    const { usage: plain } = await generateText(asked(QUESTION, { maxOutputTokens: 8 }));
    const streamed = streamText(asked(QUESTION, { maxOutputTokens: 8 }));
    await streamed.consumeStream();
    const last = await streamed.usage;
    expect(plain.inputTokens > 5 && plain.outputTokens > 0, plain);
    expect(last.inputTokens === plain.inputTokens && last.outputTokens === plain.outputTokens, last);
  },

  errors: () => expectError(APICallError, () => generateText(asked(TOO_LONG, { maxOutputTokens: 4 }))),

  async cancellation() {
    const leaving = new AbortController();
    const running = streamText(asked(LONG, { maxOutputTokens: 900, abortSignal: leaving.signal, onError() {} }));
    for await (const _ of running.textStream) {
      await expectFreed(() => leaving.abort());
      break;
    }
  },
});
