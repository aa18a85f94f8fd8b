// Runs one process of bergamot (WebAssembly) under Node: reads and writes JSON lines.
//
//   bergamot.mjs PACKAGE FOLDER WORKERS BATCH
//
// FOLDER holds the model's files, the same that our server loads. The first line out is {version, computes}. Each later
// line in, {id, texts}, is answered by one line out, {id, texts, seconds}. bergamot splits texts into sentences, batches
// them and spreads them over its workers.

import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [pack, folder, workers, batchSize] = process.argv.slice(2);
const { BatchTranslator, TranslatorBacking } = await import(pathToFileURL(`${pack}/translator.js`));
const PAIR = { from: "en", to: "pt" };

function read(kind) {
  const bytes = readFileSync(`${folder}/${readdirSync(folder).find((name) => name.startsWith(`${kind}.`))}`);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

class Files extends TranslatorBacking {
  async loadModelRegistery() {
    return [PAIR];
  }

  async loadTranslationModel() {
    return { model: read("model"), shortlist: read("lex"), vocabs: [read("vocab")], qualityModel: null, config: {} };
  }
}

const options = { workers: Number(workers), batchSize: Number(batchSize), pivotLanguage: null, cacheSize: 0 };
const backing = new Files(options);
const translator = new BatchTranslator(options, backing);
// Starts all workers here. bergamot 0.4.9 starts a worker when it is first needed, and fails if two calls then wait for
// the same worker.
while (translator.workers.length < options.workers) {
  const worker = await backing.loadWorker();
  await worker.exports.loadTranslationModel(PAIR, await backing.getTranslationModel(PAIR));
  translator.workers.push({ idle: true, ...worker });
}

async function translate(text) {
  const started = process.hrtime.bigint();
  const { target } = await translator.translate({ ...PAIR, text, html: false, qualityScores: false });
  return [target.text, Number(process.hrtime.bigint() - started) / 1e9];
}

function write(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const { version } = JSON.parse(readFileSync(`${pack}/package.json`, "utf8"));
write({ version: `${version}, node ${process.versions.node}`, computes: "int8, WebAssembly SIMD" });

for await (const line of createInterface({ input: process.stdin })) {
  const { id, texts } = JSON.parse(line);
  Promise.all(texts.map(translate)).then(
    (pairs) => write({ id, texts: pairs.map(([text]) => text), seconds: pairs.map(([, seconds]) => seconds) }),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}
await translator.delete();
process.exit(0);
