/**
 * Memory store against Redis store, as far as you like: `deno task model` (also `bun tools/model.ts` and
 * `node --import tsx tools/model.ts`).
 *
 *     --steps 100000       how many steps @default 10000
 *     --seed 42            which ones @default the time
 *     --seed 42 --path 17  replays the walk that failed; a failed run prints both
 *     --no-shrink          stops at the first failure, without looking for a shorter one
 *
 * Prints how many of the steps called each verb of the store. Exit code 1 when the stores differ, or when a verb was
 * called by less than one step in a hundred.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type ModelReport, rareVerbs, runModel, VERBS } from "../tests/store/model_run.ts";
import { startRedis } from "../tests/support/redis_server.ts";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "10000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    path: { type: "string" },
    "no-shrink": { type: "boolean", default: false },
  },
});

function print(report: ModelReport, seconds: number): void {
  const { steps, seed, done } = report;
  const share = (name: string) => `${name} ${((done.get(name) ?? 0) * 100 / steps).toFixed(1)}%`;
  console.log(`verbs: ${VERBS.map(share).join(", ")}`);
  const commands = [...done.keys()].filter((name) => name.startsWith("(")).toSorted();
  console.log(`commands: ${commands.map(share).join(", ")}`);
  console.log(`model: ${steps} steps, seed ${seed}, ${seconds.toFixed(1)} s`);
}

const started = performance.now();
const server = await startRedis();
const options = { url: server.url, seed: Number(values.seed), steps: Number(values.steps) };
const report = await runModel({
  ...options,
  shrink: !values["no-shrink"],
  ...(values.path === undefined ? {} : { path: values.path }),
});
await server.stop();
print(report, (performance.now() - started) / 1000);
const { failure } = report;
if (failure !== null) {
  console.log(failure.commands.map((command) => `  ${JSON.stringify(command)}`).join("\n"));
  console.log(failure.reason);
  console.log(`replay: deno task model --seed ${report.seed} --path ${JSON.stringify(failure.path)}`);
}
const rare = values.path === undefined && failure === null ? rareVerbs(report) : [];
for (const verb of rare) console.log(`${verb} was called by less than one step in a hundred`);
process.exit(failure === null && rare.length === 0 ? 0 : 1);
