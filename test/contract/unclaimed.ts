import assert from 'node:assert/strict';
import {
  bufferCount,
  concat,
  filter,
  map,
  merge,
  mergeMap,
  NEVER,
  type Observable,
  Subject,
  timer,
  toArray,
  zip,
} from 'rxjs';
import {
  acknowledged,
  assertSettledOnce,
  early,
  every,
  items,
  lost,
  run,
  settled,
  store,
  type Log,
} from './acknowledged.ts';
import { advance, sleep, takes, upTo, within, without, type Law } from './law.ts';

const TICKET = 'src/tickets/Ticket.ts';

const WAITING = 'src/tickets/WaitingTickets.ts';

const DEMAND = 'src/demand/Demand.ts';

const OUTLET = 'src/demand/Outlet.ts';

const STAGE = 'src/demand/Stage.ts';

const PULL = 'src/demand/PullSource.ts';

const BATCH = 'operators/batch.ts';

const bad = (at: string) =>
  map((value: string) => {
    if (value === at) throw new Error('bad');
    return value;
  });

/** What does not arrive within its call. */
export const unclaimedLaws: readonly Law[] = [
  {
    rule: 'T4',
    says: 'an item that a native operator swallows is not acknowledged on its own; one that it throws on is handed back',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(4)).pipe(
        filter((value) => value === 'i3'),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      for (const item of ['i1', 'i2'])
        assert.ok(log.indexOf(`ack ${item}`) > log.indexOf('store "i3"'), log.join());
      assertSettledOnce(log, items(4));
      const thrown: Log = [];
      assert.equal(
        (await run(sluice, acknowledged(sluice, thrown, items(5)).pipe(bad('i3'), store(sluice, thrown))))
          .end,
        'bad',
      );
      assert.ok(thrown.includes('nak i3'), thrown.join());
      assert.deepEqual([settled(thrown, 'ack'), lost(thrown)], [['i1', 'i2'], []]);
      const below: Log = [];
      assert.equal(
        (await run(sluice, acknowledged(sluice, below, items(5)).pipe(store(sluice, below), bad('i3')))).end,
        'bad',
      );
      assert.ok(below.includes('nak i3'), below.join());
    },
    sabotage: [
      without(
        OUTLET,
        'if (ticket !== null && under.drops === drops && this.demand.ticketed) this.wait(ticket);',
      ),
      without(
        OUTLET,
        'if (this.closed) {\n      ticket.hold().release(this.#left());',
        'if (this.subscriber.closed) {',
      ),
    ],
  },
  {
    rule: 'T5',
    says: 'waiting items share the outcome of the next one that arrives, be it good or bad',
    async check(sluice) {
      const log: Log = [];
      const refuses = sluice.poolMap(
        async (values: string[]) => {
          await sleep(1);
          if (values.includes('i6')) throw new Error('full');
          log.push(`store ${values.join()}`);
        },
        { concurrency: 1 },
      );
      assert.equal(
        (await run(sluice, acknowledged(sluice, log, items(7)).pipe(bufferCount(3), refuses))).end,
        'full',
      );
      assert.deepEqual([settled(log, 'ack'), early(log)], [items(3), []]);
      assertSettledOnce(log, items(settled(log, 'ack').length + settled(log, 'nak').length));
      assert.ok(settled(log, 'nak').includes('i4'), 'what rode on the item that failed');
    },
    sabotage: [
      without(OUTLET, 'const under = this.#under(ticket);', 'const under = ticket && ticket.hold();'),
      without(TICKET, 'if (ticket.members) failing.push(...ticket.members);'),
    ],
  },
  {
    rule: 'T5',
    says: 'what waits at the end of a source rides on its end, or settles when the stage sees the end',
    async check(sluice) {
      const log: Log = [];
      assert.equal(
        (await run(sluice, acknowledged(sluice, log, items(5)).pipe(toArray(), store(sluice, log)))).end,
        'completed',
      );
      assert.deepEqual([early(log), lost(log)], [[], []]);
      assertSettledOnce(log, items(5));
      const none: Log = [];
      const swallowed = acknowledged(sluice, none, items(3)).pipe(filter(() => false));
      const open = new Subject<string>();
      const running = run(sluice, merge(swallowed, open).pipe(store(sluice, none)));
      await advance(5);
      assert.deepEqual(none, [], 'settled before the stage has seen the end');
      open.complete();
      await running;
      assert.deepEqual(settled(none, 'ack'), items(3));
      assertSettledOnce(none, items(3));
    },
    sabotage: [
      without(
        OUTLET,
        'if (under?.claims !== claims || !demand.owner) tail.release();',
        'if (demand) tail.release();',
      ),
      without(DEMAND, 'if (this.#tails.size > 0) this.#tails.release(this.#tails.size, reason);'),
      without(OUTLET, 'tail ?? works ?? null', 'null'),
    ],
  },
  {
    rule: 'T5',
    says: 'what waits when the flow errors or is torn down is handed back',
    async check(sluice) {
      const hold = bufferCount<string>(4);
      const late = timer(5).pipe(
        map((): string => {
          throw new Error('late');
        }),
      );
      const flows = {
        'the source errors': (log: Log) =>
          acknowledged(sluice, log, function* () {
            yield* items(2);
            throw new Error('input');
          }).pipe(hold),
        'an operator throws on the tail': (log: Log) =>
          acknowledged(sluice, log, items(2)).pipe(
            toArray(),
            map((): string[] => {
              throw new Error('tail');
            }),
          ),
        'another source errors': (log: Log) => merge(acknowledged(sluice, log, items(2)), late).pipe(hold),
        'another source errors first': (log: Log) =>
          merge(concat(acknowledged(sluice, log, items(2)), NEVER), late).pipe(hold),
        'it is aborted': (log: Log) => merge(acknowledged(sluice, log, items(2)), NEVER).pipe(hold),
        'it is aborted before the end': (log: Log) =>
          acknowledged(sluice, log, async function* () {
            yield* items(2);
            await sleep(999);
          }).pipe(hold),
      };
      for (const [name, flow] of Object.entries(flows)) {
        const log: Log = [];
        await run(sluice, flow(log).pipe(store(sluice, log)), { abortAfterMs: 20 });
        assert.deepEqual(settled(log, 'ack'), [], name);
        assertSettledOnce(log, items(2));
      }
    },
    sabotage: [
      without(STAGE, '    this.demand.end(reasonOf(error));\n'),
      without(OUTLET, 'if (this.waiting.size > 0) this.handBack(reason ?? this.#stopped());'),
      without(
        STAGE,
        '      this.demand.end(reason);\n      this.abandon(reason, false);',
        '      this.abandon(reason, false);',
      ),
    ],
  },
  {
    rule: 'T6',
    says: 'the first item that waits is told of, once, with stage and operators; under strict it is an error',
    async check(sluice) {
      const log: Log = [];
      const flow = () =>
        acknowledged(sluice, log, items(9)).pipe(
          filter((value) => value === 'i9'),
          store(sluice, log),
        );
      const { warnings } = await run(sluice, flow());
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0] ?? '',
        /^store: an acknowledged item did not arrive .*between them: filter.*filterOr or drops/,
      );
      log.length = 0;
      assert.equal((await run(sluice, flow(), { strict: true })).end, 'TICKET_UNCLAIMED');
      assert.deepEqual(log, ['nak i1']);
    },
    sabotage: [
      without(OUTLET, 'within its call${this.#between()}, and', 'within its call, and'),
      without(STAGE, '    if (fatal && this.runBelow?.strict) this.fail(error);\n    else if', '    if'),
    ],
  },
  {
    rule: 'T7',
    says: 'a source at its window has what is gathered below let go of at once',
    async check(sluice) {
      const gather = {
        batch: sluice.batch<string>({ maxItems: 10 }),
        'batch below a queue': (source: Observable<string>) =>
          source.pipe(sluice.boundedQueue({ capacity: 9 }), sluice.batch({ maxItems: 10 })),
        storeTo: sluice.storeTo<string>(async () => sleep(1), { maxItems: 10, maxWaitMs: 99_999 }),
      };
      for (const [name, operator] of Object.entries(gather)) {
        const log: Log = [];
        const flow = acknowledged(sluice, log, items(23), 5).pipe(
          operator as typeof gather.storeTo,
          store(sluice, log),
        );
        assert.equal((await run(sluice, flow)).end, 'completed', name);
        assert.ok(performance.now() < 9_000, `${name}: it waited for a timer`);
        assertSettledOnce(log, items(23));
        assert.deepEqual([early(log), lost(log)], [[], []], name);
      }
    },
    sabotage: [
      without(PULL, '      this.#out.demand.urge(by);\n'),
      without(STAGE, 'this.out.demand.urge(by);'),
    ],
  },
  {
    rule: 'T7',
    says: 'what reaches a batch after the source has come to its window is let go of as well',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(8), 5).pipe(
        sluice.poolMap(takes(1), { concurrency: 5 }),
        sluice.batch({ maxItems: 10 }),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assertSettledOnce(log, items(8));
    },
    sabotage: [
      without(DEMAND, 'this.urges += by;'),
      without(BATCH, 'if (this.letsGo) this.flush();', 'if (this.demand.draining) this.flush();'),
    ],
  },
  {
    rule: 'T5',
    says: 'an item that native operators hold until another source emits waits for that as well; what they hold at the end of a drain is handed back',
    async check(sluice) {
      const log: Log = [];
      const slow = (value: string) => (value === 'i1,i5' ? 20 : 1);
      const put = async (values: string[]): Promise<void> => {
        await sleep(slow(values.join()));
        log.push(...values.map((value) => `store ${value}`));
      };
      const one = acknowledged(sluice, log, every(3, items(3)));
      const other = acknowledged(sluice, log, every(5, items(2, 5)));
      const flow = merge(one, other).pipe(bufferCount(2), sluice.poolMap(put, { concurrency: 3 }));
      assert.equal((await run(sluice, flow)).end, 'completed');
      for (const item of settled(log, 'ack')) {
        assert.ok(log.indexOf(`ack ${item}`) > log.indexOf(`store ${item}`), log.join(', '));
      }
      const held: Log = [];
      const zipped = zip(
        acknowledged(sluice, held, items(3)),
        acknowledged(sluice, held, every(9, ['i4', 'i5'])),
      );
      const draining = sluice.runFlow(zipped.pipe(sluice.poolMap(takes(1), { concurrency: 1 })), {
        onWarning: () => undefined,
      });
      await advance(12);
      assert.equal((await within(draining.drain())).end, 'drained');
      assert.deepEqual(settled(held, 'ack').includes('i3'), false, held.join(', '));
      assertSettledOnce(held, [...new Set([...settled(held, 'ack'), ...settled(held, 'nak')])]);
    },
    sabotage: [
      without(OUTLET, 'place.stream ? [] : demand.waitingBeside(waiting)', 'place.stream ? [] : []'),
      without(DEMAND, 'this.draining || [...this.outlets]', '[...this.outlets]'),
    ],
  },
  {
    rule: 'T7',
    says: 'more than half a window, or 1,000, waiting is an error, and all are handed back',
    async check(sluice) {
      for (const [window, most] of [
        [10, 6],
        [undefined, 1_001],
      ] as const) {
        const log: Log = [];
        const flow = acknowledged(sluice, log, items(1_500), window).pipe(
          filter(() => false),
          store(sluice, log),
        );
        assert.equal((await run(sluice, flow)).end, 'TICKET_HELD');
        assert.equal(settled(log, 'nak').length, most);
        assertSettledOnce(log, items(most));
      }
      const log: Log = [];
      const inside = acknowledged(sluice, log, items(1_500)).pipe(
        mergeMap((value) => sluice.fromPull([value])),
        filter(() => false),
        store(sluice, log),
      );
      assert.equal((await run(sluice, inside)).end, 'TICKET_HELD');
      assert.deepEqual(settled(log, 'ack'), []);
    },
    sabotage: [
      without(WAITING, 'this.size > book.maxWaiting || '),
      without(WAITING, 'if (item.book) books.add(item.book);'),
      without(
        'src/tickets/TicketBook.ts',
        'if (this.held > Math.max(this.maxWaiting, MAX_WAITING)) return true;',
      ),
      without(PULL, 'Math.floor(window / 2)', 'window'),
    ],
  },
  {
    rule: 'T7',
    says: 'an item whose many parts are swallowed waits once, not once a part',
    async check(sluice) {
      const log: Log = [];
      const parts = mergeMap((value: string) => sluice.fromPull(upTo(30).map((part) => `${value}.${part}`)));
      const flow = acknowledged(sluice, log, items(3), 10).pipe(
        parts,
        filter((value) => value.endsWith('.30')),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assertSettledOnce(log, items(3));
      const book = new sluice.TicketBook(9, 9, () => 9);
      const waiting = new sluice.WaitingTickets();
      const ticket = new sluice.Ticket(1, undefined, book);
      waiting.add(ticket);
      waiting.add(ticket);
      waiting.release(1);
      assert.equal(book.held, 0);
    },
    sabotage: [without(WAITING, 'if (this.#tickets?.has(ticket)) return undefined;')],
  },
];
