#!/usr/bin/env node
// A client of Latimer in Node, straight from protos/: translates, streams, summarizes and reads an error.
//
//     npm install
//     node example.js [HOST:PORT]        LATIMER_TOKEN=... if the server wants a token

import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import { readError } from "./errors.js";

const PROTOS = fileURLToPath(new URL("../../protos", import.meta.url));
const FILES = ["translation", "summarization", "models"].map((name) => `latimer/v1/${name}.proto`);
// Names of enums in place of numbers; a value that only a newer server knows stays a number.
const OPTIONS = { keepCase: true, enums: String, longs: Number, defaults: true, includeDirs: [PROTOS] };

const definition = protoLoader.loadSync([...FILES, "google/rpc/error_details.proto"], OPTIONS);
const { latimer } = grpc.loadPackageDefinition(definition);

const address = process.argv[2] ?? process.env.LATIMER_ADDRESS ?? "localhost:50051";
const metadata = new grpc.Metadata();
if (process.env.LATIMER_TOKEN) metadata.set("authorization", `Bearer ${process.env.LATIMER_TOKEN}`);
// For TLS: grpc.credentials.createSsl()
const credentials = grpc.credentials.createInsecure();
const translation = new latimer.v1.TranslationService(address, credentials);
const summarization = new latimer.v1.SummarizationService(address, credentials);

/** Makes a unary call, and returns its response as a promise. */
function call(client, method, request, seconds = 60) {
  const deadline = new Date(Date.now() + seconds * 1000);
  return new Promise((resolve, reject) =>
    client[method](request, metadata, { deadline }, (error, response) => (error ? reject(error) : resolve(response))),
  );
}

async function translate() {
  const { results } = await call(translation, "TranslateText", {
    contents: ["Good morning.", "The bridge is closed until Monday."],
    source_language_code: "en",
    target_language_codes: ["pt"],
  });
  for (const { translations } of results) {
    const [{ translated_text, flags, error }] = translations;
    console.log("translated:", error?.message ?? translated_text, ...flags);
  }
}

async function stream() {
  const duplex = translation.StreamTranslateText(metadata);
  duplex.write({ config: { source_language_code: "en", target_language_codes: ["pt"], ordered: true } });
  for (const [index, content] of ["One.", "Two.", "Three."].entries())
    duplex.write({ items: [{ item_id: String(index), content }] });
  duplex.end();
  for await (const { results, usage } of duplex) {
    for (const { item_id, result } of results)
      console.log(`streamed ${item_id}:`, result.translations[0].translated_text);
    if (usage) console.log("characters:", usage.characters);
  }
}

async function summarize() {
  const { summaries } = await call(summarization, "SummarizeText", {
    contents: ["The old bridge is closed. It opens in May. The town council decided so on Monday."],
    mode: "SUMMARY_MODE_EXTRACTIVE",
    sentence_count: 1,
  });
  console.log("summarized:", summaries[0].summary_text);
}

async function failOnPurpose() {
  try {
    await call(translation, "TranslateText", { contents: ["Hello."], target_language_codes: ["??"] });
  } catch (error) {
    const found = readError(error, definition);
    console.log("error:", grpc.status[found.code], found.reason, found.violations, `request ${found.requestId}`);
  }
}

try {
  await translate();
  await stream();
  await summarize();
  await failOnPurpose();
} catch (error) {
  console.error("failed:", readError(error, definition));
  process.exitCode = 1;
} finally {
  translation.close();
  summarization.close();
}
