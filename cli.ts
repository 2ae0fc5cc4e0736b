#!/usr/bin/env -S deno run -A
/**
 * The command line of errand. It is an entry and nothing else, so it runs whenever it is loaded: `import.meta.main`,
 * which would ask first, does not exist on Node 20.
 *
 * ```sh
 * deno run -A cli.ts --help
 * bun cli.ts --help
 * node --import tsx cli.ts --help
 * ```
 *
 * @module
 */
import process from "node:process";
import { main } from "./src/cli/main.ts";

await main(process.argv.slice(2));
