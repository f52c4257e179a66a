import assert from 'node:assert/strict';
import {
  concat,
  delay,
  ignoreElements,
  interval,
  map,
  merge,
  type Observable,
  of,
  take,
  takeWhile,
  timer,
} from 'rxjs';
import {
  acknowledged,
  assertSettledOnce,
  every,
  items,
  lost,
  run,
  settled,
  store,
  type Log,
} from './acknowledged.ts';
import { advance, codeOf, sleep, takes, within, without, type Law } from './law.ts';

const STAGE = 'src/demand/Stage.ts';

const DEMAND = 'src/demand/Demand.ts';

const PULL = 'src/demand/PullSource.ts';

const POOL = 'src/work/PoolStage.ts';

const STORE = 'src/work/StoreStage.ts';

/** Teardown, and what comes from nowhere. */
export const endingsLaws: readonly Law[] = [
  {
    rule: 'T9',
    says: 'an acknowledged source is closed when its last item has settled, not when it is unsubscribed',
    async check(sluice) {
      const log: Log = [];
      const input = function* () {
        try {
          yield* items(5);
        } finally {
          log.push('closed');
        }
      };
      const flow = acknowledged(sluice, log, input).pipe(take(2), store(sluice, log));
      assert.equal((await run(sluice, flow)).end, 'completed');
      assert.equal(log.at(-1), 'closed');
      assert.deepEqual(settled(log, 'ack'), items(2));
      log.length = 0;
      assert.equal(
        (await run(sluice, acknowledged(sluice, log, input).pipe(store(sluice, log)), { abortAfterMs: 4 }))
          .end,
        'aborted',
      );
      assert.equal(log.at(-1), 'closed');
      assertSettledOnce(log.slice(0, -1), items(4));
    },
    sabotage: [
      without(
        PULL,
        '    if (this.#pending > 0) {\n      pull.stop();',
        '    if (false) {\n      pull.stop();',
      ),
      without(
        PULL,
        '      if (this.#pending === 0 && (this.#done || this.#stopping)) {\n        this.#close();',
        '      if (this.#pending === 0 && (this.#done || this.#stopping)) {',
      ),
    ],
  },
  {
    rule: 'T9',
    says: 'a stage that is torn down hands back all it holds, except the item that is on its way down',
    async check(sluice) {
      const slow: (value: string) => Promise<string> = takes(2);
      const stages = {
        'poolMap, promises': sluice.poolMap((value: string) => slow(value), { concurrency: 3 }),
        'poolMap, ordered': sluice.poolMap((value: string) => slow(value), { concurrency: 3, ordered: true }),
        'poolMap, Observables': sluice.poolMap((value: string) => of(value), { concurrency: 3 }),
        'poolMap, Observables that end later': sluice.poolMap(
          (value: string) => concat(of(value), timer(1).pipe(ignoreElements())),
          { concurrency: 3 },
        ) as never,
        boundedQueue: sluice.boundedQueue<string>({ capacity: 3 }),
        batch: sluice.batch<string>({ maxItems: 1 }) as never,
        storeTo: sluice.storeTo<string>(async () => sleep(1), { maxItems: 2 }),
      };
      for (const [name, operator] of Object.entries(stages)) {
        for (const above of [true, false]) {
          const log: Log = [];
          const last = takeWhile((value: unknown) => String(value) !== 'i2', true);
          const sink = above ? [last, store<unknown>(sluice, log)] : [store<unknown>(sluice, log), last];
          const flow = acknowledged(sluice, log, items(9)).pipe(
            operator as typeof stages.boundedQueue,
            sink[0] as never,
            sink[1] as never,
          );
          assert.equal((await run(sluice, flow)).end, 'completed', name);
          assert.ok(settled(log, 'ack').includes('i2'), `${name}: ${log.join(', ')}`);
          assert.deepEqual(lost(log), above ? [] : lost(log), name);
          const known = [...new Set([...settled(log, 'ack'), ...settled(log, 'nak')])];
          assertSettledOnce(log, items(known.length));
        }
      }
    },
    sabotage: [without('operators/batch.ts', '    if (group !== null) group.release();\n', '')],
  },
  {
    rule: 'T9',
    says: 'a result that waited when its flow ended below settles once',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(3)).pipe(
        sluice.poolMap((value) => of(value), { concurrency: 3 }),
        takeWhile((value) => value !== 'i2', true),
        sluice.poolMap(takes(2), { concurrency: 1 }),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assertSettledOnce(log, items(3));
    },
    sabotage: [
      without(
        POOL,
        '      if (this.dead) this.#finish(job);\n      else this.#delivered(job, outbox);',
        '      this.#delivered(job, outbox);',
      ),
    ],
  },
  {
    rule: 'T9',
    says: 'what is stored when the flow ends below is settled as stored; what is being stored is handed back',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(9)).pipe(
        sluice.storeTo(
          async (values) => {
            await sleep(1);
            log.push(`store ${values.join()}`);
          },
          { maxItems: 3, concurrency: 2 },
        ),
        take(1),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assert.deepEqual([settled(log, 'ack').toSorted(), lost(log)], [items(3), []]);
      assertSettledOnce(log, items(settled(log, 'ack').length + settled(log, 'nak').length));
    },
    sabotage: [
      without(STORE, "else this.#leaves(batch, i, 'out');", ';'),
      without(STORE, '      this.#handBack(batch, reason);\n'),
    ],
  },
  {
    rule: 'T9',
    says: 'what one store has stored and another is to have is handed back when the flow is stopped between them',
    async check(sluice) {
      const log: Log = [];
      const second: string[] = [];
      const flow = acknowledged(sluice, log, items(12)).pipe(
        sluice.storeTo(() => sleep(1), { maxItems: 4 }),
        sluice.storeTo(
          async (values: readonly string[]) => {
            await sleep(3);
            second.push(...values);
          },
          { maxItems: 1 },
        ),
      );
      assert.equal((await run(sluice, flow, { abortAfterMs: 9 })).end, 'aborted');
      assert.ok(second.length > 0);
      assert.deepEqual(settled(log, 'ack').toSorted(), second.toSorted());
      assert.ok(settled(log, 'nak').length > 1);
    },
    sabotage: [without(STORE, 'owner !== undefined && owner !== this.run', 'false')],
  },
  {
    rule: 'T9',
    says: 'runFlow resolves after the last settlement, however the flow ends',
    async check(sluice) {
      for (const how of ['completed', 'drained', 'aborted']) {
        const log: Log = [];
        const flow = acknowledged(sluice, log, every(1, items(9))).pipe(
          sluice.poolMap(takes(3), { concurrency: 2 }),
          sluice.batch({ maxItems: 2 }),
          sluice.storeTo(async () => sleep(2), { maxItems: 2 }),
        );
        const running = sluice.runFlow(flow);
        await advance(8);
        if (how === 'drained') void running.drain();
        if (how === 'aborted') void running.abort();
        const report = await within(running);
        log.push('resolved');
        await advance(50);
        assert.equal(report.end, how);
        assert.equal(log.at(-1), 'resolved', log.join());
        const pulled = settled(log, 'ack').length + settled(log, 'nak').length;
        assert.ok(pulled > 0);
        assertSettledOnce(log, items(pulled));
        if (how !== 'aborted') assert.deepEqual(settled(log, 'nak'), []);
      }
    },
    sabotage: [
      without(STORE, 'while (this.#gathered.size > 0) this.#handBack(this.#gathered.take(), reason);', ''),
      without(STAGE, '      this.abandon(reason, false);\n'),
    ],
  },
  {
    rule: 'T10',
    says: 'an item from nowhere in an acknowledged flow is an error of the stream; one without a ticket never is',
    async check(sluice) {
      const log: Log = [];
      const pushed = (source: Observable<number>) =>
        merge(acknowledged(sluice, log, every(4, items(3))), source.pipe(take(2), map(String)));
      assert.equal(
        (await run(sluice, pushed(sluice.fromPush(interval(3))).pipe(store(sluice, log)))).end,
        'completed',
      );
      assertSettledOnce(log, items(3));
      log.length = 0;
      assert.equal((await run(sluice, pushed(interval(3)).pipe(store(sluice, log)))).end, 'TICKET_LOST');
      assert.deepEqual(settled(log, 'ack'), []);
      log.length = 0;
      const atTheEnd = acknowledged(sluice, log, items(2)).pipe(store(sluice, log), delay(2));
      assert.equal((await run(sluice, atTheEnd)).end, 'TICKET_LOST');
      assert.deepEqual(settled(log, 'ack'), []);
    },
    sabotage: [
      without(DEMAND, 'return ticket === undefined && this.ticketed ? undefined : null;', 'return null;'),
      without('src/flow/Run.ts', 'if (ticket === undefined) this.fail', 'if (false) this.fail'),
      without('src/demand/fromPush.ts', 'this.#out.emit(value, null);', 'this.#subscriber.next(value);'),
    ],
  },
  {
    rule: 'T10',
    says: 'a loop over a flow is a stage as well: what comes from nowhere fails it, and nothing is acknowledged before it is taken',
    async check(sluice) {
      const log: Log = [];
      const late = acknowledged(sluice, log, items(3)).pipe(delay(2));
      const loop = sluice.toAsyncIterable(late, { capacity: 3 })[Symbol.asyncIterator]();
      const seen: unknown[] = [];
      try {
        for (;;) {
          const { done, value } = await within(loop.next());
          if (done) break;
          seen.push(value);
        }
      } catch (error) {
        seen.push(codeOf(error));
      }
      assert.deepEqual(seen, ['TICKET_LOST']);
      assert.deepEqual(settled(log, 'ack'), []);
    },
    sabotage: [without('src/demand/toAsyncIterable.ts', 'if (ticket === undefined) {', 'if (false) {')],
  },
];
