// The work of load/postgres on queues that keep their jobs in PostgreSQL, with their own clients.
//
//   pg_client.mjs add SECONDS CALLERS   single jobs, so many callers at a time; prints RPS and how many a second
//   pg_client.mjs drain COUNT SLOTS     adds so many in bulk, then works them off, each slot one at a time with no job fetched ahead;
//                                       prints RPS and how many a second
//
// Settings are environment variables: SYSTEM (graphile-worker or pg-boss), SYSTEM_HOME (where it is installed), and SOCKET (the directory of
// PostgreSQL's socket).

import { createRequire } from 'node:module';

const { SYSTEM, SYSTEM_HOME, SOCKET } = process.env;
const require = createRequire(SYSTEM_HOME + '/package.json');
const note = 'x'.repeat(139);
const [mode, ...numbers] = process.argv.slice(2);
const [first, second] = numbers.map(Number);
const { Pool } = require('pg');
const pool = new Pool({ host: SOCKET, user: 'postgres', database: 'postgres', max: 64 });
const count = async (sql) => Number((await pool.query(sql)).rows[0].count);

const systems = {
  'graphile-worker': async () => {
    const { makeWorkerUtils, run, Logger } = require('graphile-worker');
    const logger = new Logger(() => () => {});
    const utils = await makeWorkerUtils({ pgPool: pool, logger });
    await utils.migrate();
    return {
      add: () => utils.addJob('note', { note }),
      fill: (some) => pool.query(
        "SELECT count(graphile_worker.add_job('note', json_build_object('note', $1::text))) FROM generate_series(1, $2::int)", [note, some]),
      async work(total, slots) {
        let done = 0;
        let finished;
        const all = new Promise((resolve) => { finished = resolve; });
        const taskList = { note: async () => { done += 1; if (done >= total) finished(); } };
        const runner = await run({ pgPool: pool, logger, concurrency: slots, pollInterval: 100, noHandleSignals: true, taskList });
        await all;
        while (await count('SELECT count(*) FROM graphile_worker.jobs')) await new Promise((r) => { setTimeout(r, 2); });
        return () => runner.stop();
      },
      clear: () => pool.query('DELETE FROM graphile_worker._private_jobs'),
    };
  },

  'pg-boss': async () => {
    const loaded = require('pg-boss');
    const PgBoss = loaded.PgBoss ?? loaded;
    // Its own pool, of as many connections as it has callers.
    const boss = new PgBoss({ host: SOCKET, user: 'postgres', database: 'postgres', max: 64, supervise: false, schedule: false });
    boss.on('error', (error) => console.error(error));
    await boss.start();
    await boss.createQueue('note');
    return {
      add: () => boss.send('note', { note }),
      fill: (some) => boss.insert(Array.from({ length: some }, () => ({ name: 'note', data: { note } }))),
      async work(total, slots) {
        let done = 0;
        // Its worker waits between two fetches; this does what it does, without the wait.
        await Promise.all(Array.from({ length: slots }, async () => {
          while (done < total) {
            const jobs = await boss.fetch('note', { batchSize: 1 });
            for (const job of jobs ?? []) {
              await boss.complete('note', job.id);
              done += 1;
            }
            if (!jobs?.length) break;
          }
        }));
        if (done < total) throw new Error(`only ${done} of ${total} jobs were done`);
        return () => boss.stop({ graceful: false });
      },
      clear: () => boss.purgeQueue?.('note'),
    };
  },
};

const system = await systems[SYSTEM]();
const rate = (done, began) => console.log('RPS', Math.floor(done / ((performance.now() - began) / 1000)));

if (mode === 'add') {
  await system.add();
  const began = performance.now();
  const until = began + first * 1000;
  let done = 0;
  await Promise.all(Array.from({ length: second }, async () => {
    while (performance.now() < until) {
      await system.add();
      done += 1;
    }
  }));
  rate(done, began);
} else {
  await system.clear();
  for (let left = first; left > 0; left -= 1000) await system.fill(Math.min(left, 1000));
  await pool.query('VACUUM ANALYZE');
  const began = performance.now();
  await system.work(first, second);
  rate(first, began);
}
process.exit(0);
