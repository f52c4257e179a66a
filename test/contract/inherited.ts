import assert from 'node:assert/strict';
import {
  bufferCount,
  concat,
  concatMap,
  delay,
  map,
  merge,
  mergeMap,
  Subject,
  switchMap,
  tap,
  timer,
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
import { takes, upTo, without, type Law } from './law.ts';

const OUTLET = 'src/demand/Outlet.ts';

const STAGE = 'src/demand/Stage.ts';

const PULL = 'src/demand/PullSource.ts';

/** Sources and stages inside native inner streams. */
export const inheritedLaws: readonly Law[] = [
  {
    rule: 'T8',
    says: 'a source inside a native inner stream keeps the ticket of its item until its own end',
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
      without(PULL, 'this.#parent = outer.claim();', 'outer.claims++;'),
      without(
        PULL,
        'if (waiting.length > 0) this.#parent = Ticket.group(waiting);',
        'for (const ticket of waiting) ticket.release();',
      ),
      without(PULL, 'this.#out.emit(value, this.#parent);', 'this.#out.emit(value, null);'),
      without(STAGE, 'under(waiting ?? ticket, ', 'under(ticket, '),
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
        assert.ok(log.indexOf(`ack i${item}`) >= log.indexOf(`ack i1${item}`) - 1, log.join());
        assert.ok(log.indexOf(`ack i${item}`) > log.indexOf(`store "i1${item}"`), log.join());
      }
    },
    sabotage: [without(PULL, 'this.#parent === null ? undefined : this.#parent.hold()', 'undefined')],
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
      const next = concat(sluice.fromPush(push), sluice.fromPull(['p1']));
      const { end } = await run(sluice, merge(held, next).pipe(store(sluice, log)));
      assert.equal(end, 'completed');
      assert.deepEqual(early(log), [], log.join());
      assertSettledOnce(log, items(2));
    },
    sabotage: [
      without(
        OUTLET,
        '    current.ticket = ticket;\n    demand.emitter = this.inner ? this : undefined;',
        '    demand.emitter = this.inner ? this : undefined;',
      ),
    ],
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
    sabotage: [
      without(PULL, 'if (this.#parent !== null) demand.announce();'),
      without(PULL, '(inner || outer === undefined)', 'inner'),
      without(STAGE, 'below.ticketed && this.out.inner', 'false'),
    ],
  },
];
