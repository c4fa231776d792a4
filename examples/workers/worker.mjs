#!/usr/bin/env node
// A worker for actiond in JavaScript. It needs Node 18 or later, and no package.
//
//     node worker.mjs http://localhost:7000 Render [NAME]
//
// It takes actions of the queue Render one after the other, does them in `work`, and reports. Several queues are named with
// commas between them. If the environment has ACTIOND_KEY, that is sent as the key.
//
// Put your own work into `work`. Await `job.checkpoint()` often: it waits while the action is paused, and throws `Stopped`
// once it is to stop. Return an object or any text; throw `Fatal` where another attempt would only fail again.

import { hostname } from "node:os";

async function work(job) {
  // This one only sleeps, in steps.
  const steps = Number(job.parameter("Steps") ?? 10);
  for (let step = 1; step <= steps; step++) {
    await job.checkpoint();
    await sleep(1000 * Number(job.parameter("StepSecs") ?? 0.1));
    job.progress((100 * step) / steps, `step ${step} of ${steps}`, { steps: step });
  }
  const fail = job.parameter("Fail");
  if (fail !== undefined) throw new Error(fail);
  return { steps, language: "JavaScript" };
}

class Stopped extends Error {}
/** The action failed, and would fail again. */
class Fatal extends Error {}
/** The action is not this worker's any more. */
class Lost extends Error {}
/** The server does not want this request, now or later. */
class Refused extends Error {}

const [address, queues, name = `${hostname()}-${process.pid}`] = process.argv.slice(2);
const headers = process.env.ACTIOND_KEY ? { Authorization: `Bearer ${process.env.ACTIOND_KEY}` } : {};
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Aborted once this program is to end.
const ending = new AbortController();
for (const sent of ["SIGTERM", "SIGINT"]) process.on(sent, () => ending.abort());

/** Sends one request. Errors other than `Lost` and `Refused` may pass by themselves. */
async function tryCall(parameters, signal) {
  const body = new URLSearchParams({ action: "QueueWork", ResponseFormat: "simplejson", ...parameters });
  const limit = new AbortController();
  const abort = () => limit.abort();
  const timer = setTimeout(abort, 1000 * (Number(parameters.Wait ?? 0) + 30));
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    const reply = await fetch(address, { method: "POST", body, headers, signal: limit.signal });
    const text = await reply.text();
    if (!text.startsWith("{")) throw refusedAs(reply, text);
    const { response, responsedata } = JSON.parse(text).autnresponse;
    if (response === "SUCCESS") return responsedata ?? {};
    const { errorcode, errordescription } = responsedata.error;
    if (errorcode === "ERRORWORKLOST") throw new Lost(errordescription);
    if (errorcode === "ERRORUNAVAILABLE") throw new Error(errordescription);
    throw new Refused(errordescription);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** The error of a reply that is not JSON: XML, where the server could not read so much of the request as the wish for JSON. */
function refusedAs(reply, text) {
  const of = (name) => text.match(new RegExp(`<${name}>([^<]*)</${name}>`))?.[1];
  const why = of("errordescription") ?? `HTTP status ${reply.status}`;
  const mayPass = of("errorcode") === "ERRORUNAVAILABLE" || [408, 429].includes(reply.status) || reply.status >= 500 || (reply.ok && !of("errorcode"));
  return mayPass ? new Error(why) : new Refused(why);
}

/** Decodes base64: text where it is UTF-8, else a Buffer. */
function decoded(base64) {
  const bytes = Buffer.from(base64, "base64");
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? text : bytes;
}

/** Returns parameters by their names in small letters. */
function read(parameters) {
  const all = new Map();
  for (const one of parameters.parameter ?? []) {
    const name = one["@name_encoding"] === "base64" ? decoded(one["@name"]) : one["@name"];
    const value = one["@value"] ?? one.$;
    if (value === undefined && Number(one["@length"] ?? 0) > 0) {
      throw new Fatal(`the value of ${name} is too long to be sent: ${one["@length"]} bytes`);
    }
    const key = String(name).toLowerCase();
    if (!all.has(key)) all.set(key, one["@encoding"] === "base64" ? decoded(value ?? "") : (value ?? ""));
  }
  return all;
}

/** Sends a request again until it is answered, for this many seconds. */
async function call(patience, parameters, signal) {
  const until = Date.now() + 1000 * patience;
  for (let pause = 200; ; pause = Math.min(2 * pause, 10_000)) {
    try {
      return await tryCall(parameters, signal);
    } catch (error) {
      if (error instanceof Lost || error instanceof Refused || signal?.aborted) throw error;
      if (Date.now() + pause > until) throw error;
      console.error(`${parameters.WorkAction}: ${error.message}; again in ${pause} ms`);
      await sleep(pause);
    }
  }
}

/** An action that this worker has. */
class Job {
  constructor(taken) {
    const { token, attempt, leasesecs, parameters } = taken;
    this.named = { Token: token, Attempt: attempt };
    this.lease = Number(leasesecs);
    this.given = parameters ?? {};
    this.wish = "run";
    this.news = {};
    this.over = new AbortController();
  }

  /** Returns a parameter, whose name may be in any case: text, or a Buffer where it is no text. */
  parameter(name) {
    return this.parameters.get(name.toLowerCase());
  }

  /** Says how it ended. What the server does not take will not be taken later: the action fails, and says why. */
  async tell(word, told) {
    try {
      await this.say(word, 600, told);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.say("fail", 600, { Error: `${word} was refused: ${error.message}`.slice(0, 1000), Retry: "false" });
    }
  }

  /** Waits while the action is paused. */
  async checkpoint() {
    while (this.wish === "pause" && !ending.signal.aborted) await sleep(50);
    if (this.wish === "lost") throw new Lost("the action is not this worker's any more");
    if (this.wish !== "run" || ending.signal.aborted) throw new Stopped();
  }

  /** Shows how far the work is; a part of the result is kept if the action is stopped. */
  progress(percent, stage, partial) {
    this.news = { Progress: String(percent), Stage: stage };
    if (partial !== undefined) this.news.Partial = JSON.stringify(partial);
  }

  say(word, patience, more = {}, signal = undefined) {
    return call(patience, { WorkAction: word, ...this.named, ...more }, signal);
  }

  /** Says every two seconds that the worker lives, and hears of a pause or a stop at once. */
  async keep() {
    let heard = Date.now();
    while (!this.over.signal.aborted && this.wish !== "lost") {
      const news = { Worker: name, Wait: String(Math.min(2, this.lease / 3)), ...this.news };
      this.news = {};
      try {
        const { wish } = await this.say("heartbeat", 0, news, this.over.signal);
        heard = Date.now();
        this.wish = wish === "force" ? "lost" : wish;
      } catch (error) {
        const isLost = error instanceof Lost || error instanceof Refused;
        // The server may be starting again. Work goes on for as long as the lease may hold.
        if (isLost || Date.now() - heard > 10_000 * this.lease) this.wish = "lost";
        else await sleep(500);
      }
    }
  }

  async run() {
    const kept = this.keep();
    let [word, told] = ["finish", {}];
    try {
      this.parameters = read(this.given);
      const result = await work(this);
      told = { Result: typeof result === "object" ? JSON.stringify(result) : String(result ?? "") };
    } catch (error) {
      if (error instanceof Lost) word = null;
      else if (error instanceof Stopped) word = "release";
      else [word, told] = ["fail", { Error: String(error.message), Retry: String(!(error instanceof Fatal)) }];
    }
    this.over.abort();
    await kept;
    try {
      if (word === "release" && this.news.Partial) await this.say("heartbeat", 5, this.news);
      if (word) await this.tell(word, told);
    } catch (error) {
      console.error(error.message);
    }
  }
}

while (!ending.signal.aborted) {
  try {
    // No longer than it may take to end: an action whose reply is broken off is missing for the time of its lease.
    const take = { WorkAction: "take", QueueName: queues, Worker: name, Wait: "5" };
    const { work: taken = [] } = await call(20, take);
    for (const one of taken) await new Job(one).run();
  } catch (error) {
    if (error instanceof Refused) {
      console.error(error.message);
      process.exit(1);
    }
  }
}
