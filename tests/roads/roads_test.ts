/** Walks the roads to errand that belong to the runtime which runs the test: each from an empty folder to an answer. */
import { after, describe } from "node:test";
import { bunRoads } from "./bun_roads.ts";
import { denoRoads } from "./deno_roads.ts";
import { removeHome } from "./kit.ts";
import { nodeRoads } from "./node_roads.ts";

describe("the roads", () => {
  after(removeHome);
  if ("Deno" in globalThis) denoRoads();
  else if ("Bun" in globalThis) bunRoads();
  else nodeRoads();
});
