import assert from 'node:assert/strict';
import {
  bufferCount,
  catchError,
  concat,
  concatMap,
  delay,
  endWith,
  filter,
  map,
  merge,
  mergeMap,
  of,
  retry,
  Subject,
  switchMap,
  takeUntil,
  tap,
  timer,
  type Observable,
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
import { sleep, takes, upTo, without, type Law } from './law.ts';

const OUTLET = 'src/demand/Outlet.ts';

const STAGE = 'src/demand/Stage.ts';

const PULL = 'src/demand/PullSource.ts';

const PLACE = 'src/demand/Place.ts';

/** Sources and stages inside native inner streams. */
export const inheritedLaws: readonly Law[] = [
  {
    rule: 'T8',
    says: 'a source inside a native inner stream keeps the ticket of its item',
    async check(sluice) {
      const pages = (value: string) => sluice.fromPull(every(2, [`${value}a`, `${value}b`, `${value}c`]));
      const middles = {
        concatMap: concatMap(pages),
        mergeMap: mergeMap(pages, 2),
        'mergeMap, synchronous': mergeMap(
          (value: string) => sluice.fromPull([`${value}a`, `${value}b`, `${value}c`]),
          2,
        ),
        'a stage inside': concatMap((value: string) =>
          pages(value).pipe(sluice.poolMap(takes(1), { concurrency: 2 })),
        ),
        'a stage inside, of natives': concatMap((value: string) =>
          of(`${value}a`, `${value}b`).pipe(sluice.poolMap(takes(1), { concurrency: 2 })),
        ),
      };
      for (const [name, middle] of Object.entries(middles)) {
        const log: Log = [];
        const { end } = await run(
          sluice,
          acknowledged(sluice, log, items(5)).pipe(middle, store(sluice, log, 7)),
        );
        assert.equal(end, 'completed', name);
        assertSettledOnce(log, items(5));
        assert.deepEqual([early(log), lost(log)], [[], []], `${name}: ${log.join(', ')}`);
      }
    },
    sabotage: [
      without(PULL, 'this.#out.place.begin(true);'),
      without(PLACE, 'found.push(...this.home.unclaimedTickets());', ';'),
      without(PULL, 'this.#out.emit(value, this.#out.place.works ?? null);', 'this.#out.emit(value, null);'),
    ],
  },
  {
    rule: 'T8',
    says: "an inner source's own tickets settle before that of the item it works on",
    async check(sluice) {
      const log: Log = [];
      const inner = (value: string) => acknowledged(sluice, log, [value.replace('i', 'i1')]);
      const { end } = await run(
        sluice,
        acknowledged(sluice, log, items(3)).pipe(concatMap(inner), store(sluice, log)),
      );
      assert.equal(end, 'completed');
      assertSettledOnce(log, [...items(3), ...items(3, 11)]);
      for (const item of upTo(3)) {
        assert.ok(log.indexOf(`ack i${item}`) > log.indexOf(`ack i1${item}`), log.join());
        assert.ok(log.indexOf(`ack i${item}`) > log.indexOf(`store "i1${item}"`), log.join());
      }
    },
    sabotage: [without(PULL, 'this.#out.place.works?.hold()', 'undefined')],
  },
  {
    rule: 'T8',
    says: 'what is subscribed by the end of one source does not take the ticket of another',
    async check(sluice) {
      const log: Log = [];
      const push = new Subject<string>();
      const held = acknowledged(sluice, log, every(20, items(2))).pipe(
        tap(() => {
          push.complete();
        }),
        bufferCount(2),
      );
      const next = concat(sluice.fromPush(push).pipe(endWith('p0')), sluice.fromPull(['p1']));
      const { end } = await run(sluice, merge(held, next).pipe(store(sluice, log)));
      assert.equal(end, 'completed');
      assert.deepEqual(early(log), [], log.join());
      assertSettledOnce(log, items(2));
    },
    sabotage: [],
  },
  {
    rule: 'T8',
    says: 'a source inside a native inner stream gives its ticket back at its own end, whatever is subscribed for another item then',
    async check(sluice) {
      const log: Log = [];
      const pages = (value: string) => sluice.fromPull(every(2, [`${value}a`, `${value}b`]));
      const flow = acknowledged(sluice, log, items(4)).pipe(concatMap(pages), store(sluice, log, 1));
      assert.equal((await run(sluice, flow)).end, 'completed');
      assert.ok(log.indexOf('ack i1') < log.indexOf('store "i3a"'), log.join(', '));
    },
    sabotage: [without(PLACE, 'found.joint === end ?', 'found ?')],
  },
  {
    rule: 'T8',
    says: 'what is subscribed in the place of a source inside an inner stream goes on with the item of the outer one',
    async check(sluice) {
      const inners = {
        'retry, in the call of an item': (value: string) =>
          sluice.fromPull(() => every(1, [`${value}a`, `${value}b`])).pipe(once(), retry(1)),
        'catchError, when it has failed': (value: string) =>
          sluice
            .fromPull(async function* () {
              yield* every(1, [`${value}a`]);
              throw new Error('bad');
            })
            .pipe(catchError(() => of(`${value}b`))),
      };
      for (const [name, inner] of Object.entries(inners)) {
        const log: Log = [];
        const flow = acknowledged(sluice, log, every(3, items(4))).pipe(mergeMap(inner), store(sluice, log));
        assert.equal((await run(sluice, flow, { strict: true })).end, 'completed', name);
        assert.deepEqual(settled(log, 'ack').toSorted(), items(4), `${name}: ${log.join(', ')}`);
        assert.deepEqual(early(log, 'first'), [], name);
        assertSettledOnce(log, items(4));
      }
    },
    sabotage: [
      without(PLACE, 'if (claims) each.claims++;'),
      without(OUTLET, 'this.#end(works ?? null, () => {', 'this.#end(null, () => {'),
    ],
  },
  {
    rule: 'T8',
    says: 'what takes the place of a stage whose item was settled long ago does not take its ticket',
    async check(sluice) {
      const log: Log = [];
      const inner = (value: string) =>
        merge(of(value), sluice.fromPush(timer(20).pipe(map(() => 'later')))).pipe(
          sluice.poolMap(takes(1), { concurrency: 1 }),
          once('later'),
          retry(1),
        );
      const flow = acknowledged(sluice, log, items(1)).pipe(mergeMap(inner), store(sluice, log));
      assert.equal((await run(sluice, flow)).end, 'completed');
      assertSettledOnce(log, items(1));
    },
    sabotage: [],
  },
  {
    rule: 'T8',
    says: 'a ticket does not come to wait for itself, where one of those that it waits with is given up',
    async check(sluice) {
      const log: Log = [];
      /** Filters its first part, which waits; the others arrive. */
      const parts = (value: string): Observable<string> =>
        sluice.fromPull(every(3, [value, `${value}a`, `${value}b`])).pipe(filter((part) => part !== value));
      /** Given up while that waits, and before the next part. */
      const givenUp = (value: string): Observable<string> =>
        timer(4).pipe(switchMap(() => sluice.fromPull(every(99, [value])).pipe(takeUntil(timer(1)))));
      const outer = (value: string): Observable<string> =>
        timer(1).pipe(switchMap(() => merge(parts(value), givenUp(value))));
      const flow = acknowledged(sluice, log, items(1)).pipe(mergeMap(outer), store(sluice, log, 1));
      assert.equal((await run(sluice, flow)).end, 'completed');
      assertSettledOnce(log, items(1));
    },
    sabotage: [],
  },
  {
    rule: 'T7',
    says: 'a window that is full of items which wait, or ride on one that does, is told of: nothing else would come',
    async check(sluice) {
      const log: Log = [];
      const inner = (value: string): Observable<string> =>
        sluice.fromPull([`${value}a`, `${value}b`]).pipe(switchMap((part) => sluice.fromPull([part])));
      const flow = acknowledged(sluice, log, every(1, items(9)), 4).pipe(
        mergeMap(inner),
        store(sluice, log, 0),
      );
      assert.equal((await run(sluice, flow)).end, 'TICKET_HELD');
      assert.deepEqual(early(log), []);
    },
    sabotage: [
      without(
        'src/tickets/TicketBook.ts',
        'return this.#pending() >= this.#window && this.held >= this.#pending();',
        'return false;',
      ),
    ],
  },
  {
    rule: 'T4',
    says: 'an item at which a native operator throws is handed back, also where `retry` subscribes to its source again in that call',
    async check(sluice) {
      const log: Log = [];
      const queue = items(5);
      /** As a broker does: what is handed back comes again. */
      const broker = sluice.fromPull<string>(
        async function* () {
          for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
            await sleep(1);
            yield item;
          }
        },
        {
          onSettled: ({ value, failure }) => {
            log.push(`${failure === undefined ? 'ack' : 'nak'} ${value}`);
            if (failure !== undefined) queue.push(value);
          },
        },
      );
      const flow = broker.pipe(once('i3'), retry(1), store(sluice, log));
      assert.equal((await run(sluice, flow)).end, 'completed');
      assert.deepEqual([settled(log, 'nak'), settled(log, 'ack').toSorted()], [['i3'], items(5)]);
      assert.deepEqual([early(log), lost(log)], [[], []], log.join(', '));
    },
    sabotage: [without(PLACE, 'if (!emitter.closed) return', 'return')],
  },
  {
    rule: 'T8',
    says: 'inside a native inner stream too, an item that comes later than its call is a lost ticket, never an early acknowledgement',
    async check(sluice) {
      const middles = {
        'a source, delay, a stage': mergeMap((value: string) =>
          sluice.fromPull([value]).pipe(delay(3), sluice.poolMap(takes(1), { concurrency: 1 })),
        ),
        'a timer, a source': concatMap((value: string) =>
          timer(1).pipe(switchMap(() => sluice.fromPull([value]))),
        ),
        'a timer, a source, delay, a stage': concatMap((value: string) =>
          timer(1).pipe(
            switchMap(() =>
              sluice.fromPull([value]).pipe(delay(3), sluice.poolMap(takes(1), { concurrency: 1 })),
            ),
          ),
        ),
        'a timer, a stage': concatMap((value: string) =>
          timer(1).pipe(
            map(() => value),
            sluice.poolMap(takes(1), { concurrency: 1 }),
          ),
        ),
      };
      for (const [name, middle] of Object.entries(middles)) {
        const log: Log = [];
        await run(sluice, acknowledged(sluice, log, items(3)).pipe(middle, store(sluice, log)));
        assert.deepEqual([early(log), lost(log)], [[], []], `${name}: ${log.join(', ')}`);
        assertSettledOnce(log, [...new Set([...settled(log, 'ack'), ...settled(log, 'nak')])]);
      }
    },
    sabotage: [without(STAGE, 'if (works) this.demand.ticketed = true;')],
  },
];
