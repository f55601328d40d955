// Runs scenarios in the wasm build of the simulator (sim/examples/wasm.rs) and prints their trace hashes as JSON.
// Arguments: MODULE SEED TRACE FILE...   TRACE may be empty; otherwise the lines of the last scenario go there.
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const [module, seed, trace, ...files] = process.argv.slice(1);
const compiled = new WebAssembly.Module(readFileSync(module));

// A fresh instance each time: nothing is left over from the run before, and a trap ends one run only.
function run(file) {
  const { memory, input, run, output } = new WebAssembly.Instance(compiled, {}).exports;
  const text = readFileSync(file);
  const at = input(text.length) >>> 0;
  new Uint8Array(memory.buffer, at, text.length).set(text);
  const length = run(BigInt.asUintN(64, BigInt(seed)), trace === "" ? 0 : 1) >>> 0;
  const result = new TextDecoder().decode(new Uint8Array(memory.buffer, output() >>> 0, length));
  const end = result.indexOf("\n");
  return [result.slice(0, end), result.slice(end + 1)];
}

const hashes = {};
for (const file of files) {
  try {
    const [hash, lines] = run(file);
    hashes[basename(file, ".toml")] = hash;
    if (trace !== "") writeFileSync(trace, lines);
  } catch (problem) {
    hashes[basename(file, ".toml")] = `failed: ${problem}`;
  }
}
console.log(JSON.stringify(hashes));
