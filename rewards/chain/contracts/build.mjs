// Compiles src/*.sol to artifacts/*.json; `--check` only compares, and fails if they differ.
// `--source FILE` compiles one more file and prints its artifacts (tests keep their hostile contracts so).
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const solc = require("solc");
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
};
const wanted = ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode"];

function compile(files) {
  const sources = Object.fromEntries(
    files.map((file) => [basename(file), { content: readFileSync(file, "utf8") }]),
  );
  const input = {
    language: "Solidity",
    sources,
    settings: { ...settings, outputSelection: { "*": { "*": wanted } } },
  };
  const readImport = (path) => ({ contents: readFileSync(require.resolve(path), "utf8") });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  const errors = output.errors ?? [];
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  return Object.keys(sources).flatMap((file) =>
    Object.entries(output.contracts[file]).map(([name, contract]) => artifact(name, contract, sources)),
  );
}

function artifact(name, contract, own) {
  const used = Object.keys(JSON.parse(contract.metadata).sources).sort();
  const text = (path) => own[path]?.content ?? readFileSync(require.resolve(path), "utf8");
  const { object, immutableReferences } = contract.evm.deployedBytecode;
  return {
    contract: name,
    compiler: solc.version(),
    settings,
    sources: Object.fromEntries(
      used.map((path) => [path, "sha256:" + createHash("sha256").update(text(path)).digest("hex")]),
    ),
    abi: contract.abi,
    bytecode: "0x" + contract.evm.bytecode.object,
    deployedBytecode: "0x" + object,
    immutables: Object.values(immutableReferences ?? {})
      .flat()
      .sort((a, b) => a.start - b.start),
  };
}

function build(check) {
  const sources = readdirSync(join(here, "src")).sort();
  mkdirSync(join(here, "artifacts"), { recursive: true });
  const stale = compile(sources.map((file) => join(here, "src", file))).filter((built) => {
    const path = join(here, "artifacts", `${built.contract}.json`);
    const text = JSON.stringify(built, null, 1) + "\n";
    const same = existsSync(path) && readFileSync(path, "utf8") === text;
    if (!same && !check) writeFileSync(path, text);
    return !same;
  });
  if (check && stale.length > 0) {
    console.error(`stale: ${stale.map((built) => built.contract).join(", ")}; run \`node build.mjs\``);
    process.exitCode = 1;
  }
}

const [option, file] = process.argv.slice(2);
if (option === "--source") console.log(JSON.stringify(compile([file])));
else build(option === "--check");
