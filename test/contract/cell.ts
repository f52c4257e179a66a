import assert from 'node:assert/strict';
import { concat, merge, mergeMap, NEVER, of, Subject, Subscriber, takeWhile } from 'rxjs';
import {
  acknowledged,
  assertSettledOnce,
  early,
  every,
  items,
  lost,
  run,
  store,
  type Log,
} from './acknowledged.ts';
import { takes, watch, within, without, type Law } from './law.ts';

const CURRENT = 'src/tickets/current.ts';

const OUTLET = 'src/demand/Outlet.ts';

const STAGE = 'src/demand/Stage.ts';

const PULL = 'src/demand/PullSource.ts';

const POOL = 'src/work/PoolStage.ts';

const STORE = 'src/work/StoreStage.ts';

const FILTER_OR = 'operators/filterOr.ts';

const BATCH = 'operators/batch.ts';

/** The current ticket. */
export const cellLaws: readonly Law[] = [
  {
    rule: 'T1',
    says: 'the current ticket is in one cell for all copies in the process',
    check(sluice) {
      const shared = (globalThis as Record<symbol, unknown>)[Symbol.for('sluice.current/1')];
      assert.equal(shared, sluice.current);
    },
    sabotage: [without(CURRENT, "Symbol.for('sluice.current/1')", "Symbol('own')")],
  },
  {
    rule: 'T1',
    says: 'the cell is restored when a subscriber throws',
    check(sluice) {
      class Bad extends Subscriber<unknown> {
        protected override _next(): void {
          throw new Error('subscriber');
        }
      }
      const bad = new Bad(); // eslint-disable-line @typescript-eslint/no-deprecated -- the same
      sluice.fromPull([1, 2]).subscribe(bad);
      assert.equal(sluice.current.ticket, undefined);
    },
    sabotage: [
      without(
        OUTLET,
        '      this.subscriber.next(value);\n    } finally {\n      demand.emitting--;\n      if (emitter !== this && demand.emitting > 0) demand.emitter = emitter;\n      if (outerTicket !== ticket) current.ticket = outerTicket;\n    }',
        '      this.subscriber.next(value);\n    } finally {\n      demand.emitting--;\n      if (emitter !== this && demand.emitting > 0) demand.emitter = emitter;\n    }\n    if (outerTicket !== ticket) current.ticket = outerTicket;',
      ),
    ],
  },
  {
    rule: 'T1',
    says: 'user code is called without a ticket',
    async check(sluice) {
      const log: Log = [];
      const seen: Record<string, unknown> = {};
      const note = <R>(who: string, result: R): R => {
        const { ticket } = sluice.current;
        seen[who] ??= ticket === null ? 'none' : ticket === undefined ? 'outside' : 'a ticket';
        return result;
      };
      const push = new Subject<string>();
      const flow = merge(acknowledged(sluice, log, items(9)), sluice.fromPush(push)).pipe(
        sluice.filterOr((value) => note('predicate', value !== 'i1'), {
          rejected: () => note('rejected', 0),
        }),
        sluice.filterOr(async (value) => note('asynchronous predicate', value !== 'i2'), {
          concurrency: 9,
          rejected: () => note('rejected later', 0),
        }),
        sluice.poolMap((value) => note('work', of(value)), {
          concurrency: 2,
          by: (value) => note('by', value),
        }),
        sluice.poolMap(
          (value) => {
            if (value === 'i3') throw new Error('dead');
            return of(value);
          },
          { concurrency: 1, onFailure: () => note('onFailure', undefined) },
        ),
        sluice.batch({ maxItems: 1, maxWeight: 5, weigh: () => note('weigh', 1) }),
        sluice.storeTo(async () => note('store', undefined), { maxItems: 1 }),
      );
      const source = sluice.fromPull(items(1), { onSettled: () => note('onSettled', 0) });
      await run(
        sluice,
        merge(
          flow.pipe(takeWhile((value) => value[0] !== 'i9', true)),
          source.pipe(sluice.poolMap(takes(1), { concurrency: 1 })),
        ),
      );
      const overflow = new Subject<string>();
      const queue = watch(
        sluice.fromPush(overflow).pipe(
          sluice.boundedQueue({ capacity: 1, overflow: 'dropNewest', onDrop: () => note('onDrop', 0) }),
          sluice.poolMap(() => NEVER, { concurrency: 1 }),
        ),
      );
      const ticket = new sluice.Ticket(1, () => undefined);
      sluice.under(ticket, () => {
        for (const value of items(3)) overflow.next(value);
      });
      queue.subscription.unsubscribe();
      assert.deepEqual(seen, {
        predicate: 'none',
        rejected: 'none',
        'asynchronous predicate': 'none',
        'rejected later': 'none',
        work: 'none',
        by: 'none',
        onFailure: 'none',
        weigh: 'none',
        store: 'none',
        onSettled: 'none',
        onDrop: 'none',
      });
    },
    sabotage: [
      without(
        POOL,
        '    if (outer !== null) current.ticket = null;\n    try {\n      const work = this.#work',
        '    try {\n      const work = this.#work',
      ),
      without(
        POOL,
        '    current.ticket = null;\n    try {\n      job.key = by',
        '    try {\n      job.key = by',
      ),
      without(FILTER_OR, 'under(null, () => predicate(value, index++))', 'predicate(value, index++)'),
      without(
        'src/work/itemHook.ts',
        'under(null, () => toldOf(told, value, failed))',
        'toldOf(told, value, failed)',
      ),
      without(BATCH, 'under(null, () => this.#bounds.weigh(value))', 'this.#bounds.weigh(value)'),
      without(STORE, 'under(null, () => this.#store(values, forked))', 'this.#store(values, forked)'),
      without(
        PULL,
        'under(null, () => {\n        toldOnly(onSettled, { value, failure }, this.#settlingFailed);\n      });',
        'toldOnly(onSettled, { value, failure }, this.#settlingFailed);',
      ),
    ],
  },
  {
    rule: 'T1',
    says: 'a source without tickets, and native ones at subscription and at the end, emit without a ticket in an acknowledged flow',
    async check(sluice) {
      const log: Log = [];
      const flow = concat(
        merge(
          acknowledged(sluice, log, every(1, items(3))),
          sluice.fromPull(every(2, ['p1', 'p2'])),
          of('p3'),
        ),
        of('p4'),
      ).pipe(store(sluice, log));
      const seen = watch(flow);
      await within(seen.ended);
      assert.equal(seen.error, undefined);
      assert.equal(seen.values.length, 7);
      assertSettledOnce(log, items(3));
      assert.deepEqual([early(log), lost(log)], [[], []]);
    },
    sabotage: [
      without(
        OUTLET,
        'if (outerTicket !== ticket) current.ticket = ticket;',
        'if (outerTicket !== ticket) current.ticket = ticket === null ? undefined : ticket;',
      ),
      without(STAGE, 'under(works ?? null, () => source.subscribe(inlet))', 'source.subscribe(inlet)'),
    ],
  },
  {
    rule: 'T1',
    says: 'a stage inside a native inner stream subscribes under the ticket of the item it works on',
    async check(sluice) {
      const log: Log = [];
      const inner = (value: string) =>
        of(value).pipe(sluice.poolMap(takes(2), { concurrency: 1, name: 'inner' }));
      const { end } = await run(
        sluice,
        acknowledged(sluice, log, items(4)).pipe(mergeMap(inner), store(sluice, log, 20)),
      );
      assert.equal(end, 'completed');
      assertSettledOnce(log, items(4));
      assert.deepEqual([early(log), lost(log)], [[], []]);
    },
    sabotage: [
      without(
        STAGE,
        'under(works ?? null, () => source.subscribe(inlet))',
        'under(null, () => source.subscribe(inlet))',
      ),
    ],
  },
];
