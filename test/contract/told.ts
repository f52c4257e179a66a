import assert from 'node:assert/strict';
import { delay, filter, interval, share } from 'rxjs';
import { acknowledged, early, items, run, store, type Log } from './acknowledged.ts';
import { advance, codeOf, failure, takes, upTo, within, without, type Law } from './law.ts';

const STAGE = 'src/demand/Stage.ts';

/** What a stage says of what is above it. */
export const toldLaws: readonly Law[] = [
  {
    rule: 'T2',
    says: 'a chain that is cut between two stages of an acknowledged flow is an error, as one cut at the source is',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(4)).pipe(
        sluice.poolMap(takes(1), { concurrency: 2 }),
        share(),
        delay(3),
        store(sluice, log),
      );
      await run(sluice, flow);
      assert.deepEqual(early(log), []);
    },
    sabotage: [without(STAGE, 'if (!this.#cut) return;', 'return;')],
  },
  {
    rule: 'D8',
    says: 'items that arrive after their source has ended are late as well',
    async check(sluice) {
      const flow = sluice.fromPull(upTo(6)).pipe(delay(5), sluice.poolMap(takes(1), { concurrency: 10 }));
      assert.equal(codeOf(await failure(sluice.runFlow(flow, { strict: true }))), 'UNCLAIMED');
    },
    sabotage: [
      without(
        STAGE,
        'if (!demand.fed || demand.subscribing',
        'if (demand.outlets.size === 0 || demand.subscribing',
      ),
    ],
  },
  {
    rule: 'D8',
    says: 'the report shows what was unclaimed and late',
    async check(sluice) {
      const flow = sluice.fromPull(upTo(6)).pipe(
        filter((value) => value > 4),
        sluice.poolMap(takes(1), { concurrency: 2 }),
      );
      const [stage] = (await within(sluice.runFlow(flow))).stages;
      const { unclaimed, late } = stage as { unclaimed?: number; late?: number };
      assert.deepEqual([unclaimed, late], [4, 0]);
    },
    sabotage: [without(STAGE, '    this.meter.watch(this);\n')],
  },
  {
    rule: 'D10',
    says: 'the report says that draining left a source that cannot be told to stop',
    async check(sluice) {
      const pool = sluice.poolMap(takes(1), { concurrency: 9, name: 'workers' });
      const running = sluice.runFlow(interval(5).pipe(pool), { onWarning: () => undefined });
      await advance(12);
      const { warnings } = await within(running.drain());
      assert.match(warnings.join(), /workers/);
    },
    sabotage: [without(STAGE, 'this.run?.note(', '((..._: unknown[]) => undefined)(')],
  },
];
