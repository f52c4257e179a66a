import assert from 'node:assert/strict';
import {
  bufferCount,
  catchError,
  concat,
  concatMap,
  concatWith,
  EMPTY,
  endWith,
  exhaustMap,
  filter,
  map,
  merge,
  mergeMap,
  of,
  retry,
  startWith,
  switchMap,
  take,
  timer,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import {
  acknowledged,
  assertSettledOnce,
  early,
  every,
  items,
  lost,
  once,
  run,
  settled,
  store,
  type Log,
} from './acknowledged.ts';
import { advance, sleep, takes, without, within, type Kernel, type Law } from './law.ts';

const DEMAND = 'src/demand/Demand.ts';
const OUTLET = 'src/demand/Outlet.ts';
const STAGE = 'src/demand/Stage.ts';
const PLACE = 'src/demand/Place.ts';
const TICKET = 'src/tickets/Ticket.ts';

/** A source inside an item's stream, that takes its time. */
const slow = (sluice: Kernel) => (value: string) => sluice.fromPull(every(4, [value]));

/** Values that need a turn of the promises each, and no time. */
async function* soon(values: readonly string[]): AsyncGenerator<string, void> {
  yield* values;
}

/** The flows of a table, each run to its end: nothing is acknowledged early, and what is acknowledged was stored. */
async function hold(
  sluice: Kernel,
  flows: Record<string, (source: Observable<string>, log: Log) => Observable<unknown>>,
  input: () => Iterable<string> | AsyncIterable<string>,
): Promise<void> {
  for (const [name, flow] of Object.entries(flows)) {
    const log: Log = [];
    const { end } = await run(sluice, flow(acknowledged(sluice, log, input), log));
    const told = `${name}: ${end}: ${log.join(', ')}`;
    assert.equal(end, 'completed', told);
    assert.deepEqual([early(log), lost(log)], [[], []], told);
    assertSettledOnce(log, [...new Set([...settled(log, 'ack'), ...settled(log, 'nak')])]);
  }
}

/** What native operators leave, and what comes in the call of that. */
export const leftLaws: readonly Law[] = [
  {
    rule: 'T4',
    says: 'where an item of an inner stream makes a native operator leave all that is above, what is at work there is handed back',
    async check(sluice) {
      let next = 0;
      const numbered = () => every(1, [`i${++next}`, `i${++next}`]);
      await hold(
        sluice,
        {
          retry: (source, log) =>
            source.pipe(mergeMap(slow(sluice)), once(`i${next + 1}`), retry(1), store(sluice, log)),
          catchError: (source, log) =>
            source.pipe(
              mergeMap(slow(sluice)),
              once(`i${next + 1}`),
              catchError(() => sluice.fromPull(['instead'])),
              store(sluice, log),
            ),
        },
        numbered,
      );
    },
    sabotage: [without(PLACE, 'home.ended || this.isLeft', 'home.ended')],
  },
  {
    rule: 'T4',
    says: 'what `retry` gives in the call of an item at which it has left the source is not what comes of that item',
    async check(sluice) {
      let next = 0;
      const numbered = () => every(1, [`i${++next}`, `i${++next}`]);
      await hold(
        sluice,
        { startWith: (source, log) => source.pipe(startWith('s'), once('i2'), retry(1), store(sluice, log)) },
        numbered,
      );
    },
    sabotage: [without(OUTLET, ' || this.hasFailed')],
  },
  {
    rule: 'T4',
    says: 'what native operators hold of a source that has ended is handed back where all of that is left, and only there',
    async check(sluice) {
      const log: Log = [];
      let next = 0;
      const line = acknowledged(sluice, log, () => [`i${++next}`, `i${++next}`]).pipe(
        concatMap(slow(sluice)),
        once('i1'),
        retry(1),
        store(sluice, log),
      );
      assert.equal((await run(sluice, line)).end, 'completed');
      assert.deepEqual(settled(log, 'nak').toSorted(), ['i1', 'i2'], log.join(', '));
      assert.deepEqual(settled(log, 'ack').toSorted(), ['i3', 'i4'], log.join(', '));
      const done: Log = [];
      const ignoring = acknowledged(sluice, done, items(2)).pipe(
        exhaustMap(slow(sluice)),
        concatWith(sluice.fromPull(every(9, ['and more']))),
        store(sluice, done),
      );
      assert.equal((await run(sluice, ignoring)).end, 'completed');
      assert.deepEqual(settled(done, 'ack').toSorted(), items(2), done.join(', '));
    },
    sabotage: [
      without(OUTLET, 'place.home.handBackTails(this.#stopped());', 'place.home;'),
      without(OUTLET, "this.ending !== 'complete' && "),
    ],
  },
  {
    rule: 'T4',
    says: 'an item of which some has arrived is handed back where a native operator throws at more of it, and another goes on below',
    async check(sluice) {
      let next = 0;
      const numbered = () => [`i${++next}`, `i${++next}`, `i${++next}`];
      const flows: Record<string, OperatorFunction<string, string>> = {
        'parts in one call': (source) =>
          source.pipe(
            mergeMap((value) => of(`${value}a`, `${value}b`)),
            once('i2b'),
          ),
        'parts in the call of a source inside': (source) =>
          source.pipe(
            mergeMap((value) => sluice.fromPull([value])),
            mergeMap((value) => of(`${value}a`, `${value}b`)),
            once('i2b'),
          ),
        'what is held until the end': (source) => source.pipe(bufferCount(2), map(String), once('i3')),
      };
      for (const [name, flow] of Object.entries(flows)) {
        const log: Log = [];
        next = 0;
        const stored = acknowledged(sluice, log, numbered).pipe(flow, retry(1), store(sluice, log));
        assert.equal((await run(sluice, stored)).end, 'completed', name);
        assert.deepEqual(early(log), [], name);
        const threw = name === 'what is held until the end' ? 'i3' : 'i2';
        assert.ok(settled(log, 'nak').includes(threw), `${name}: ${log.join(', ')}`);
        assertSettledOnce(log, [...new Set([...settled(log, 'ack'), ...settled(log, 'nak')])]);
      }
    },
    sabotage: [
      without(OUTLET, ' || this.hasFailed'),
      without(OUTLET, 'return stream.joint.closed && stream.within.hasFailed;', 'return false;'),
      without(OUTLET, 'if (this.hasFailed) tail.release(this.#left());\n    else '),
      without(DEMAND, 'for (const outlet of this.outlets) outlet.announced();'),
    ],
  },
  {
    rule: 'T5',
    says: 'what native operators still hold when one below ends the flow is handed back',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, every(1, items(2))).pipe(
        concatMap(slow(sluice)),
        take(1),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assert.deepEqual([settled(log, 'ack'), settled(log, 'nak')], [['i1'], ['i2']], log.join(', '));
    },
    sabotage: [without(DEMAND, '!ending && !parked', 'false')],
  },
  {
    rule: 'T8',
    says: 'what is subscribed by the end of an inner stream belongs to the same item, or to one that waits; so does what that gives',
    async check(sluice) {
      await hold(
        sluice,
        {
          'of, in a line of sources': (source, log) =>
            source.pipe(
              concatMap((value) => (value === 'i2' ? of('i2a', 'i2b', 'i2c') : slow(sluice)(value))),
              store(sluice, log),
            ),
          'endWith, and a source below': (source, log) =>
            source.pipe(
              mergeMap((value) => sluice.fromPull<string>([]).pipe(endWith(`${value}z`))),
              mergeMap(slow(sluice)),
              store(sluice, log),
            ),
          'a stage whose source takes its time, and what follows it': (source, log) =>
            source.pipe(
              mergeMap((value) =>
                slow(sluice)(value).pipe(sluice.poolMap(takes(1), { concurrency: 1 }), endWith(`${value}z`)),
              ),
              store(sluice, log, 9),
            ),
          'a stage whose source fails, and what follows it': (source, log) =>
            source.pipe(
              mergeMap((value) =>
                concat(
                  sluice.fromPull<string>(every(0, [])),
                  sluice
                    .fromPull<string>(() => {
                      throw new Error('bad');
                    })
                    .pipe(
                      catchError(() => sluice.fromPull([`${value}a`, `${value}b`])),
                      sluice.batch({ maxItems: 1 }),
                      map(String),
                      endWith(`${value}z`),
                    ),
                ),
              ),
              store(sluice, log, 9),
            ),
          'a stage, and what follows it': (source, log) =>
            source.pipe(
              mergeMap((value) =>
                concat(
                  of(`${value}a`).pipe(sluice.batch({ maxItems: 1 }), map(String)),
                  of(`${value}b`),
                  slow(sluice)(`${value}c`),
                ),
              ),
              store(sluice, log, 9),
            ),
        },
        () => items(2),
      );
      await hold(
        sluice,
        {
          'a line of stages and of, of two sources': (source, log) =>
            merge(source, acknowledged(sluice, log, ['i2'])).pipe(
              mergeMap((value) => sluice.fromPull(soon([`${value}a`, `${value}b`]))),
              concatMap((value) =>
                value === 'i1b' || value === 'i2a'
                  ? sluice.fromPull(soon([value])).pipe(sluice.poolMap(() => EMPTY, { concurrency: 1 }))
                  : of(value),
              ),
              store(sluice, log, 1),
            ),
        },
        () => items(1),
      );
    },
    sabotage: [
      without(DEMAND, 'const waiting = this.unclaimedTickets();', 'const waiting: Ticket[] = [];'),
      without(PLACE, "if (!found) return above(joint, 'either');", 'if (!found) continue;'),
      without(STAGE, 'this.out.place.keep();'),
      without(
        PLACE,
        'if (this.works.isSettled) this.works = this.stream?.open;',
        'if (this.works.isSettled) return;',
      ),
      without(PLACE, 'found.end && streamOf(found.end)', 'undefined'),
    ],
  },
  {
    rule: 'T8',
    says: 'what is subscribed in the call of an item works on that alone: others settle, however many streams overlap',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, every(3, items(30)), 8).pipe(
        mergeMap((value) => sluice.fromPull(every(4, ['-', value]))),
        filter((value) => value !== '-'),
        store(sluice, log, 1),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assert.ok(log.indexOf('ack i1') < log.indexOf('store "i9"'), log.join(', '));
      assertSettledOnce(log, items(30));
    },
    sabotage: [without(PLACE, "!ticket || this.#on !== 'item'", 'true')],
  },
  {
    rule: 'T8',
    says: 'what is subscribed later in an inner stream works on an item that waits, or that rides on one that is not done',
    async check(sluice) {
      await hold(
        sluice,
        {
          'a source behind a timer': (source, log) =>
            source.pipe(
              mergeMap((value) =>
                value === 'i1'
                  ? timer(1).pipe(switchMap(() => sluice.fromPull(every(9, [value]))))
                  : of(value),
              ),
              store(sluice, log, 1),
            ),
          'a retry that waits': (source, log) => {
            let failed = false;
            const failing = (value: string) =>
              sluice.fromPull(async function* () {
                await sleep(1);
                if (!failed) {
                  failed = true;
                  throw new Error('once');
                }
                yield value;
              });
            return source.pipe(
              mergeMap((value) =>
                value === 'i1' ? failing(value).pipe(retry({ count: 1, delay: 6 })) : of(value),
              ),
              store(sluice, log, 20),
            );
          },
        },
        () => every(3, items(2)),
      );
    },
    sabotage: [
      without(PLACE, "ticket === undefined && this.#on === 'either'", 'false'),
      without(PLACE, 'streamBelow(subscriber)', 'undefined'),
    ],
  },
  {
    rule: 'T10',
    says: 'what comes to a stage above a stage, inside a native inner stream, later than its call is a lost ticket as well',
    async check(sluice) {
      const log: Log = [];
      const pass = () => sluice.poolMap(takes(0), { concurrency: 1 });
      const flow = acknowledged(sluice, log, items(1)).pipe(
        mergeMap((value) =>
          of(value).pipe(
            mergeMap((same) =>
              timer(1).pipe(
                map(() => same),
                pass(),
              ),
            ),
            pass(),
          ),
        ),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'TICKET_LOST');
      assert.deepEqual(settled(log, 'nak'), ['i1']);
    },
    sabotage: [without(STAGE, 'if (works) this.demand.ticketed = true;')],
  },
  {
    rule: 'T5',
    says: 'items that come to wait for one another settle together, when all that they became is stored',
    async check(sluice) {
      const log: Log = [];
      const order = ['i1A', 'i2B', 'i2A', 'i1B'];
      const inOrder = async (value: string): Promise<string> => {
        await sleep(4 + 8 * order.indexOf(value));
        return value;
      };
      const flow = acknowledged(sluice, log, items(2)).pipe(
        sluice.broadcast<string, string[]>([
          (source) =>
            source.pipe(
              sluice.batch({ maxItems: 1 }),
              map(([value]) => `${value!}A`),
            ),
          map((value) => `${value}B`),
        ]),
        sluice.poolMap(inOrder, { concurrency: 4 }),
        bufferCount(2),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assertSettledOnce(log, items(2));
      assert.deepEqual(early(log), [], log.join(', '));
    },
    sabotage: [
      without(OUTLET, 'const under = this.#under(ticket);', 'const under = ticket && ticket.hold();'),
    ],
  },
  {
    rule: 'T7',
    says: 'the window of each source is looked at where items of several wait as one',
    async check(sluice) {
      const log: Log = [];
      const flow = merge(acknowledged(sluice, log, items(4)), acknowledged(sluice, log, ['i5'], 1)).pipe(
        sluice.batch({ maxItems: 3, maxWaitMs: 0 }),
        concatMap(() => sluice.fromPull<string>(every(1, []))),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'TICKET_HELD');
      assertSettledOnce(log, items(5));
    },
    sabotage: [
      without(
        TICKET,
        'members?.forEach((member) => behind.add(member));',
        'if (members) behind.add(members[0]);',
      ),
    ],
  },
  {
    rule: 'T7',
    says: 'an item waits once, at however many places',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(1)).pipe(
        mergeMap((value) => sluice.fromPull(Array.from({ length: 1_100 }, () => value))),
        mergeMap((value) => sluice.fromPull([value])),
        filter(() => false),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'completed');
      assert.deepEqual(settled(log, 'ack'), ['i1']);
    },
    sabotage: [without(DEMAND, 'this.#tails.add(tail)', 'this.#tails.add(Ticket.group([tail.hold()]))')],
  },
  {
    rule: 'T4',
    says: 'an item settles once, also where the call in which its window fills is still on the stack',
    async check(sluice) {
      const log: Log = [];
      const flow = acknowledged(sluice, log, items(1), 1).pipe(
        sluice.poolMap((value: string) => sluice.fromPull([`${value}a`, `${value}b`]), { concurrency: 1 }),
        switchMap(slow(sluice)),
        store(sluice, log),
      );
      assert.equal((await run(sluice, flow)).end, 'TICKET_HELD');
      assertSettledOnce(log, items(1));
    },
    sabotage: [without(OUTLET, 'return ticket === null ? null : ticket.hold();', 'return ticket;')],
  },
  {
    rule: 'D12',
    says: 'a source that `retry` subscribes to in the call of an inner one is not inner itself: it drains',
    async check(sluice) {
      const input = async function* (): AsyncGenerator<string> {
        for (let i = 1; ; i++) {
          await sleep(1);
          yield `i${i}`;
        }
      };
      const flow = sluice
        .fromPull(input)
        .pipe(mergeMap(slow(sluice)), once('i3'), retry(1), sluice.poolMap(takes(1), { concurrency: 2 }));
      const running = sluice.runFlow(flow, { drainTimeoutMs: 500 });
      await advance(60);
      assert.equal((await within(running.drain())).end, 'drained');
    },
    sabotage: [without(PLACE, 'if (!emitter.closed) return', 'return')],
  },
];
