/** Installs what `bench/package-lock.json` says, unless it is there. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { isInstalled } from "../../tools/setup.mjs";

const BENCH = fileURLToPath(new URL("..", import.meta.url));

/** Installs the peers; only the benchmark needs them. */
export function installPeers(): void {
  if (isInstalled(BENCH)) return;
  console.error("Installing the peers into bench/ …");
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: BENCH, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("`npm ci` in bench/ did not succeed");
}
