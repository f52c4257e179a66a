/**
 * Three claims about a pipeline against "one at a time", measured beside a hand-written loop in the same run: 100 HTTP
 * requests, 1,000 SQL queries, 500 files. Each claim has a process of its own; in each round the loop and sluice take
 * turns, so that noise hits both.
 *
 *     node claims.mjs [http|queries|files] [--rounds 5]
 *
 * Exit code 1 if sluice is slower than 0.9 of the hand-written loop in any of them.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { files } from './claims/files.mjs';
import { http } from './claims/http.mjs';
import { queries } from './claims/queries.mjs';

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '5' } },
  allowPositionals: true,
});
const claims = { http, queries, files };

/** Least speed of sluice, as a share of the hand-written loop's. */
const least = 0.9;
/** How long the loop and sluice take turns within a round, in milliseconds: many short turns, for noise is short too. */
const turnsMs = 4_000;

const [name] = positionals;
if (name === undefined) compareAll();
else if (name in claims) process.exitCode = await compare(claims[name]);
else throw new Error(`there is no claim '${name}', only ${Object.keys(claims).join(', ')}`);

function compareAll() {
  const codes = Object.keys(claims).map((claim) => {
    const args = [fileURLToPath(import.meta.url), claim, '--rounds', values.rounds];
    return spawnSync(process.execPath, args, { stdio: 'inherit' }).status;
  });
  const well = codes.every((code) => code === 0);
  console.log(well ? `all at least ${least} of the hand-written loop` : 'not all well');
  process.exitCode = well ? 0 : 1;
}

/** Prints one claim, the hand-written loop and sluice side by side; gives the exit code. */
async function compare(open) {
  await using job = await open();
  const { one, loop, ours, ratio } = await measure(job, Number(values.rounds));
  const row = (label, ms, note = '') =>
    console.log(
      `  ${label.padEnd(26)}${ms.toFixed(0).padStart(7)} ms${(one / ms).toFixed(1).padStart(8)}×${note}`,
    );
  console.log(job.title);
  row('one at a time', one);
  row('claim', one / job.claim);
  row('hand-written loop', loop);
  row('sluice', ours, `   ${ratio.toFixed(2)} of the hand-written loop${ratio < least ? ': TOO SLOW' : ''}`);
  return ratio < least ? 1 : 0;
}

/** Medians in milliseconds, and the median of the speed ratio of neighbours: above 1, sluice was faster. */
async function measure(job, rounds) {
  const [one, loop, ours, ratio] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    one.push(await timed(job, job.one));
    // Connections that idled meanwhile are closed by now: both make theirs again, unmeasured.
    await job.loop();
    await job.ours();
    const until = performance.now() + turnsMs;
    for (let turn = 0; performance.now() < until; turn++) {
      const both = new Map();
      for (const contestant of turn % 2 === 0 ? [job.loop, job.ours] : [job.ours, job.loop]) {
        both.set(contestant, await timed(job, contestant));
      }
      loop.push(both.get(job.loop));
      ours.push(both.get(job.ours));
      ratio.push(both.get(job.loop) / both.get(job.ours));
    }
  }
  return { one: median(one), loop: median(loop), ours: median(ours), ratio: median(ratio) };
}

async function timed(job, contestant) {
  const start = performance.now();
  const done = await contestant();
  const ms = performance.now() - start;
  if (done !== job.count) throw new Error(`${job.title}: ${done} of ${job.count} were done`);
  return ms;
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}
