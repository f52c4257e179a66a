import assert from 'node:assert/strict';
import { connect, delay, map, merge, share, toArray } from 'rxjs';
import { acknowledged, assertSettledOnce, items, run, settled, store, type Log } from './acknowledged.ts';
import { all, codeOf, takes, upTo, watch, within, without, type Law } from './law.ts';

const STAGE = 'src/demand/Stage.ts';

const DEMAND = 'src/demand/Demand.ts';

const PULL = 'src/demand/PullSource.ts';

/** How a flow is known to be acknowledged. */
export const announcedLaws: readonly Law[] = [
  {
    rule: 'T2',
    says: 'a flow is known to be acknowledged before anything is, however far below',
    async check(sluice) {
      for (const stages of [0, 1, 2]) {
        const log: Log = [];
        let flow = acknowledged(sluice, log, items(4));
        for (let i = 0; i < stages; i++) flow = flow.pipe(sluice.poolMap(takes(1), { concurrency: 2 }));
        const { end } = await run(sluice, flow.pipe(delay(5), store(sluice, log)));
        assert.equal(end, 'TICKET_LOST');
        assert.deepEqual(settled(log, 'ack'), []);
        assertSettledOnce(log, items(4));
      }
    },
    sabotage: [
      without(PULL, 'if (this.#onSettled) demand.announce();'),
      without(STAGE, '    this.out.demand.announce();'),
      without(DEMAND, 'return ticket === undefined && this.ticketed ? undefined : null;', 'return null;'),
    ],
  },
  {
    rule: 'T2',
    says: 'a flow without acknowledged sources loses no ticket, whatever runs around it',
    async check(sluice) {
      const log: Log = [];
      const other = watch(acknowledged(sluice, log, items(2)).pipe(store(sluice, log)));
      const plain = sluice.fromPull(upTo(4)).pipe(delay(2), sluice.poolMap(takes(1), { concurrency: 2 }));
      assert.equal((await all(plain)).length, 4);
      const inside = sluice.poolMap(
        (value: string) =>
          plain.pipe(
            toArray(),
            map(() => value),
          ),
        { concurrency: 2 },
      );
      const { end } = await run(
        sluice,
        acknowledged(sluice, log, items(2, 3)).pipe(inside, store(sluice, log)),
      );
      assert.equal(end, 'completed');
      await within(other.ended);
      assertSettledOnce(log, items(4));
    },
    sabotage: [without(STAGE, 'if (works) this.demand.ticketed = true;', 'this.demand.ticketed = true;')],
  },
  {
    rule: 'T2',
    says: 'an acknowledged source without a stage below fails at subscription, and says what cuts the chain',
    async check(sluice) {
      const log: Log = [];
      const source = acknowledged(sluice, log, items(2));
      const cuts = [
        source,
        source.pipe(share(), store(sluice, log)),
        source.pipe(
          connect((shared) =>
            merge(shared.pipe(store(sluice, log)), shared.pipe(delay(1), store(sluice, log))),
          ),
        ),
      ];
      for (const flow of cuts) {
        const seen = watch(flow);
        await within(seen.ended);
        assert.equal(codeOf(seen.error), 'TICKET_PATH');
        assert.match(
          (seen.error as Error).message,
          /needs a stage of sluice or runFlow below it, .* the chain ends at a (plain observer|Subject)/,
        );
      }
      assert.deepEqual(log, []);
      assert.equal((await run(sluice, source)).end, 'completed');
      assertSettledOnce(log, items(2));
    },
    sabotage: [without(PULL, 'if (!linked || (this.#onSettled && !demand.owner)) this.#noDemand();')],
  },
];
