import assert from 'node:assert/strict';
import { concat, filter, map, merge, mergeMap, of, Subject, timer } from 'rxjs';
import {
  acknowledged,
  assertSettledOnce,
  early,
  items,
  lost,
  run,
  settled,
  store,
  type Log,
} from './acknowledged.ts';
import { flush, sleep, takes, within, without, type Law } from './law.ts';

const TICKET = 'src/tickets/Ticket.ts';

const DEMAND = 'src/demand/Demand.ts';

const POOL = 'src/work/PoolStage.ts';

const STORE = 'src/work/StoreStage.ts';

const FILTER_OR = 'operators/filterOr.ts';

/** What arrives, and what our operators drop. */
export const claimedLaws: readonly Law[] = [
  {
    rule: 'T3',
    says: 'an item is acknowledged when the last of its results is delivered to the last stage, and not before',
    async check(sluice) {
      const log: Log = [];
      const twice = sluice.poolMap(
        (value: string) => concat(of(`${value}a`), timer(5).pipe(map(() => `${value}b`))),
        { concurrency: 2 },
      );
      const flow = acknowledged(sluice, log, items(5)).pipe(
        twice,
        sluice.boundedQueue({ capacity: 3 }),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assertSettledOnce(log, items(5));
      assert.equal(settled(log, 'ack').length, 5);
      assert.deepEqual([early(log), lost(log)], [[], []]);
    },
    sabotage: [
      without(DEMAND, 'return ticket.claim();', '{ ticket.claims++; return null; }'),
      without(POOL, 'this.out.emit(result, job.ticket);', 'this.out.emit(result, null);'),
    ],
  },
  {
    rule: 'T3',
    says: 'what leaves the last stage towards a plain subscriber is delivered, and acknowledged',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(30), 4).pipe(store(sluice, log));
      const ended = new Promise<string>((resolve) => {
        flow.subscribe({
          error: (error: unknown) => resolve(String(error)),
          complete: () => resolve('completed'),
        });
      });
      assert.equal(await within(ended, 5_000), 'completed');
      assertSettledOnce(log, items(30));
      assert.equal(settled(log, 'ack').length, 30);
      assert.ok(log.indexOf('ack i1') < log.indexOf('store "i9"'));
    },
    sabotage: [without('src/demand/Demand.ts', ' || this.owner === undefined')],
  },
  {
    rule: 'T3',
    says: 'what our operators drop is settled at once, so that no window fills with it',
    async check(sluice) {
      const refuse = async (value: string) => {
        await sleep(1);
        throw new Error(value);
      };
      const drops = {
        filterOr: sluice.filterOr<string>(() => false),
        'filterOr, asynchronous': sluice.filterOr<string>(async () => false, { concurrency: 2 }),
        drops: sluice.drops(filter<string>(() => false)),
        'onFailure: drop': sluice.poolMap(refuse, { concurrency: 2, onFailure: 'drop' }),
        'dead letters': sluice.poolMap(refuse, { concurrency: 2, onFailure: async () => sleep(1) }),
        'storeTo, drop': sluice.storeTo(refuse as never, { maxItems: 2, onFailure: 'drop' }),
      };
      for (const [name, operator] of Object.entries(drops)) {
        const log: Log = [];
        const flow = acknowledged(sluice, log, items(30), 4).pipe(
          operator as typeof drops.filterOr,
          store(sluice, log),
        );
        assert.deepEqual(await run(sluice, flow, { strict: true }), { end: 'completed', warnings: [] }, name);
        assertSettledOnce(log, items(30));
        assert.equal(settled(log, 'ack').length, 30, name);
      }
    },
    sabotage: [
      without(FILTER_OR, 'current.ticket?.drop();'),
      without('operators/drops.ts', 'ticket?.drop();'),
      without(STORE, 'this.#leaves(batch, i, outcome);'),
      without(
        POOL,
        "    if (onFailure === 'drop') {\n      this.#without(job, 'dropped', error);\n      return;",
        "    if (onFailure === 'drop') {\n      return;",
      ),
    ],
  },
  {
    rule: 'T3',
    says: 'what a queue drops by its policy is settled',
    async check(sluice) {
      const log: Log = [];
      const push = new Subject<string>();
      const flow = merge(acknowledged(sluice, log, items(2)), sluice.fromPush(push)).pipe(
        sluice.boundedQueue({ capacity: 2, overflow: 'dropOldest' }),
        sluice.poolMap(takes(5), { concurrency: 1 }),
      );
      const running = run(sluice, flow);
      for (const value of ['p1', 'p2', 'p3']) push.next(value);
      await flush();
      assert.deepEqual(log, ['ack i2']);
      push.complete();
      await running;
      assertSettledOnce(log, items(2));
    },
    sabotage: [without('operators/boundedQueue.ts', 'if (droppedTicket !== null) droppedTicket.release();')],
  },
  {
    rule: 'T3',
    says: 'the outcome of a batch is that of all its members, and the worst outcome of an item wins',
    async check(sluice) {
      const log: Log = [];
      const refuses = sluice.poolMap(
        async (values: string[]) => {
          await sleep(1);
          if (values.includes('i5')) throw new Error('full');
          log.push(`store ${JSON.stringify(values)}`);
        },
        { concurrency: 1 },
      );
      const batches = acknowledged(sluice, log, items(6)).pipe(sluice.batch({ maxItems: 3 }), refuses);
      assert.equal((await run(sluice, batches)).end, 'full');
      assert.deepEqual(settled(log, 'ack'), items(3));
      assertSettledOnce(log, items(6));
      const fan: Log = [];
      const parts = mergeMap((value: string) => of(`${value}a`, `${value}b`));
      const second = sluice.poolMap(
        async (value: string) => {
          await sleep(value === 'i2a' ? 1 : 9);
          if (value === 'i2a') throw new Error('part');
          fan.push(`store ${value}`);
        },
        { concurrency: 9 },
      );
      assert.equal((await run(sluice, acknowledged(sluice, fan, items(2)).pipe(parts, second))).end, 'part');
      assert.deepEqual(settled(fan, 'ack'), []);
      assertSettledOnce(fan, items(2));
    },
    sabotage: [
      without(
        TICKET,
        'if (ticket.members) failing.push(...ticket.members);',
        'if (ticket.members) failing.push(ticket.members[0]);',
      ),
      without(
        TICKET,
        'if (failure !== undefined) this.#fail(failure);',
        'this.failure = this.references > 2 ? failure : undefined;',
      ),
    ],
  },
  {
    rule: 'T3',
    says: 'a ticket that is released too often is a fault, not a second outcome',
    check(sluice) {
      let outcomes = 0;
      const ticket = new sluice.Ticket(1, () => outcomes++);
      ticket.release();
      assert.throws(() => {
        ticket.release();
      }, /released twice/);
      assert.equal(outcomes, 1);
    },
    sabotage: [
      without(
        TICKET,
        "else if (this.references < 0) throw new Error('sluice: a ticket was released twice');",
      ),
    ],
  },
];
