// What the Node scripts share, as outcome.py for the Python ones.
import { readFileSync } from "node:fs";

export const BASE = process.env.BASE_URL; // with /v1
export const ROOT = BASE.replace(/\/v1$/, "");
export const MODEL = process.env.MODEL;
const ENGINE = process.env.ENGINE_ROOT;

// The same for every client: outcome.py explains them.
const prompts = JSON.parse(readFileSync(new URL("prompts.json", import.meta.url)));
export const { QUESTION, TOOL_QUESTION, LONG, CITY, WEATHER } = prompts;
export const TOO_LONG = prompts.TOO_LONG.repeat(900);

/** Runs the checks and prints one JSON line: the version, then `ok` or what went wrong for each. */
export async function report(name, checks) {
  const said = { version: JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version };
  for (const [feature, check] of Object.entries(checks)) {
    try {
      await check();
      said[feature] = "ok";
    } catch (error) {
      said[feature] = `${error?.name}: ${String(error?.message).slice(0, 300)}`;
    }
  }
  console.log(JSON.stringify(said));
  process.exit(0); // a stream that was left may keep timers
}

export function expect(holds, what) {
  if (!holds) throw new Error(`expected otherwise: ${typeof what === "string" ? what : JSON.stringify(what)}`);
}

/** The client raises its own error, and that tells status 400. */
export async function expectError(kind, call) {
  try {
    await call();
  } catch (error) {
    expect(error instanceof kind || kind.isInstance?.(error), `${error?.name}: ${error?.message}`);
    expect((error.status ?? error.statusCode) === 400, `status ${error.status ?? error.statusCode}`);
    return;
  }
  throw new Error(`no ${kind.name}`);
}

async function busy() {
  const slots = await (await fetch(`${ENGINE}/slots`)).json();
  return slots.filter((slot) => slot.is_processing).length;
}

/** The engine works, the client leaves, and the engine stops within three seconds. */
export async function expectFreed(leave) {
  expect((await busy()) > 0, "the engine had already ended its answer");
  await leave();
  for (const until = Date.now() + 3000; await busy(); ) {
    expect(Date.now() < until, "the engine still works for a client that has left");
    await new Promise((done) => setTimeout(done, 50));
  }
}
