// Producers and workers of BullMQ (in Node) and bunqueue (in Bun, with its client, which has the same interface), for load/compare.
//
//   js_client.mjs enqueue SECONDS CLIENTS   single jobs, so many at a time; prints jobs a second
//   js_client.mjs feed CLIENTS              submits until SIGTERM, as long as less than 1,000 jobs wait
//   js_client.mjs work CONCURRENCY          a worker, until SIGTERM
//   js_client.mjs latency COUNT             one job at a time, 20 ms after the one before has started
//   js_client.mjs fill COUNT SECONDS        in batches, as many as fit into that time; prints how many
//
// Settings are environment variables: SYSTEM (bullmq or bunqueue), SYSTEM_HOME (where it is installed), PORT (of Redis, or
// bunqueue's own), and STARTS, the file to which a job appends the microseconds from just before its submission to its
// start. The clock is the wall clock with microseconds: the monotonic one of Bun begins anew in each process.

import { appendFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const { SYSTEM, SYSTEM_HOME, PORT, STARTS } = process.env;
const require = createRequire(SYSTEM_HOME + '/package.json');
const path = require.resolve(SYSTEM === 'bullmq' ? 'bullmq' : 'bunqueue/client');
const loaded = await import(pathToFileURL(path));
const { Queue, Worker } = loaded.Queue ? loaded : loaded.default;

const connection = { host: '127.0.0.1', port: Number(PORT) };
if (SYSTEM === 'bullmq') connection.maxRetriesPerRequest = null;
// For bunqueue the job is to be written before the answer, not up to 10 ms later.
const options = SYSTEM === 'bullmq' ? {} : { durable: true };
// Its worker asks each 50 ms by default; here it waits at the server, as one would choose for short delays.
const waits = SYSTEM === 'bullmq' ? {} : { pollTimeout: 5000 };
const note = 'x'.repeat(139);

const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const [mode, ...numbers] = process.argv.slice(2);
const [first, second] = numbers.map(Number);
const queue = mode === 'work' ? null : new Queue('load', { connection });
const add = (data) => queue.add('job', data, options);

async function waiting() {
  const counts = await queue.getJobCounts();
  return counts.waiting ?? counts.wait ?? 0;
}

const modes = {
  async enqueue(seconds, clients) {
    await add({ note });
    const began = performance.now();
    const until = began + seconds * 1000;
    let done = 0;
    await Promise.all(Array.from({ length: clients }, async () => {
      while (performance.now() < until) {
        await add({ note });
        done += 1;
      }
    }));
    console.log('RPS', Math.floor(done / ((performance.now() - began) / 1000)));
  },

  async feed(clients) {
    let stopped = false;
    let room = true;
    process.on('SIGTERM', () => { stopped = true; });
    const producers = Array.from({ length: clients }, async () => {
      while (!stopped) {
        if (room) await add({ note });
        else await sleep(2);
      }
    });
    while (!stopped) {
      room = (await waiting()) < 1000;
      await sleep(20);
    }
    await Promise.all(producers);
  },

  async work(concurrency) {
    const worker = new Worker('load', async (job) => {
      if (job.data.sent) appendFileSync(STARTS, `${now() - job.data.sent}\n`);
    }, { connection, concurrency, ...waits });
    worker.on('error', (error) => console.error(error));
    await new Promise((resolve) => process.on('SIGTERM', resolve));
    await Promise.race([worker.close(), sleep(3000)]);
  },

  async latency(count) {
    writeFileSync(STARTS, '');
    let size = 0;
    for (let i = 0; i < count; i += 1) {
      await add({ sent: now(), note });
      const limit = performance.now() + 20000;
      while (statSync(STARTS).size === size) {
        if (performance.now() > limit) throw new Error('no start within 20 s');
        await sleep(1);
      }
      size = statSync(STARTS).size;
      await sleep(20);
    }
  },

  async fill(count, seconds) {
    const until = performance.now() + seconds * 1000;
    let done = 0;
    while (done < count && performance.now() < until) {
      const some = Math.min(1000, count - done);
      await queue.addBulk(Array.from({ length: some }, () => ({ name: 'job', data: { note }, opts: options })));
      done += some;
    }
    console.log('FILLED', done);
  },
};

await modes[mode](first, second);
process.exit(0);
