import { install, type Clock } from '@sinonjs/fake-timers';
import { Observable, type MonoTypeOperatorFunction, type OperatorFunction } from 'rxjs';
import { fromPull, link, poolMap, runFlow, storeTo, type FlowRun } from 'sluice';
import { demandBelow } from '../../src/rx/chain.ts';

/** What flows through a wiring. Each has an id of its own, also where a source is subscribed to again. */
export interface Item {
  readonly id: number;
  /** For operators that compare: two neighbours share it. */
  readonly half: number;
  /** For operators that pick a part. */
  readonly part: { readonly id: number };
}

/** What a wiring may use. */
export interface Parts {
  /** The sluice source whose Demand, bound and tickets are looked at. */
  readonly source: Observable<Item>;
  /** A second one like it, for operators that join. */
  readonly other: Observable<Item>;
  /** A third one, slower and without acknowledgement. */
  readonly slow: Observable<unknown>;
  /** The stage of sluice, below or inside. */
  readonly stage: MonoTypeOperatorFunction<unknown>;
}

/**
 * Which items a result stands for, where it does not hold them: the last one emitted, the one of the same number, or
 * all so far.
 */
export type StandsFor = 'latest' | 'nth' | 'all';

export interface Wiring {
  /** As a user would write it. */
  readonly code: string;
  readonly wire: (parts: Parts) => Observable<unknown>;
  readonly standsFor?: StandsFor;
}

interface Event {
  readonly what: 'pulled' | 'emitted' | 'arrived' | 'stored' | 'acknowledged' | 'handedBack';
  readonly ids: readonly number[];
  /** `arrived`: the id whose call it came in, `'end'` for a terminal call, or undefined: none. A source without ids counts as an end. */
  readonly call?: Call;
}

type Call = number | 'end' | undefined;

interface Setting {
  readonly items: number;
  /** A pull takes 1 ms, and each fifth 8 ms; else none. */
  readonly paced: boolean;
  /** The stage is a store; else a pool, which is slower than the source. */
  readonly stores: boolean;
  readonly acknowledged: boolean;
  readonly strict?: boolean;
  readonly window?: number;
  readonly abortAtMs?: number;
  readonly drainAtMs?: number;
}

/** Virtual milliseconds after which a run that has not ended has stalled. */
const PATIENCE_MS = 2_000;
/** Ids of the second source start here. */
const OTHER = 10_000;
/** What the pool of the bound's probe takes. */
export const LIMIT = 2;

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function idsIn(value: unknown): number[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('id' in value && typeof value.id === 'number') return [value.id];
  return Object.values(value).flatMap(idsIn);
}

/** One flow over one wiring, with everything that happens to its items written down. */
class Probe {
  readonly log: Event[] = [];
  readonly warnings: string[] = [];
  /** `'completed'`, `'aborted'`, `'stalled'` or the code of an error. */
  end: string | undefined;
  #run: FlowRun | undefined;
  readonly #wiring: Wiring;
  readonly #setting: Setting;
  readonly #emitted: number[] = [];
  #call: Call;
  #arrivals = 0;

  constructor(wiring: Wiring, setting: Setting) {
    this.#wiring = wiring;
    this.#setting = setting;
  }

  start(): void {
    const { strict = false, abortAtMs, drainAtMs, stores } = this.#setting;
    const work = stores
      ? storeTo<Seen>({ store: (seen) => this.#store(seen) }, { maxItems: 3, maxWaitMs: 4, name: 'stage' })
      : poolMap((seen: Seen) => this.#deliver(seen), { concurrency: LIMIT, name: 'stage' });
    const stage: MonoTypeOperatorFunction<unknown> = (input) => input.pipe(this.#arrival(), work);
    const parts = { source: this.#source(0), other: this.#source(OTHER), slow: this.#slow(), stage };
    const run: FlowRun = runFlow(this.#wiring.wire(parts), {
      strict,
      onWarning: (message) => this.warnings.push(message),
    });
    if (abortAtMs !== undefined) setTimeout(() => void run.abort(), abortAtMs);
    if (drainAtMs !== undefined) setTimeout(() => void run.drain(), drainAtMs);
    this.#run = run;
    run.then(
      (report) => {
        this.end ??= report.end;
      },
      (error: unknown) => {
        this.end ??= (error as { code?: string }).code ?? String(error);
      },
    );
  }

  /** Has it had its time: what has not ended has stalled. */
  stop(): void {
    if (this.end !== undefined) return;
    this.end = 'stalled';
    void this.#run?.abort();
  }

  #source(firstId: number): Observable<Item> {
    const { paced, items, acknowledged, window } = this.#setting;
    let id = firstId;
    const next = (): Item => {
      id++;
      this.#tell('pulled', [id]);
      return { id, half: id >> 1, part: { id } };
    };
    function* sync(): Iterable<Item> {
      for (let n = 0; n < items; n++) yield next();
    }
    async function* async(): AsyncIterable<Item> {
      for (let n = 0; n < items; n++) {
        await later(n % 5 === 4 ? 8 : 1);
        yield next();
      }
    }
    const onSettled = ({ value, failure }: { value: Item; failure: unknown }): void => {
      this.#tell(failure === undefined ? 'acknowledged' : 'handedBack', [value.id]);
    };
    const options = acknowledged ? { onSettled, ...(window && { maxPending: window }) } : {};
    return fromPull<Item>(paced ? async : sync, options).pipe(this.#departure());
  }

  #slow(): Observable<unknown> {
    async function* async(): AsyncIterable<Partial<Item>> {
      for (let n = 0; n < 100; n++) {
        await later(4);
        yield {};
      }
    }
    return fromPull(async).pipe(this.#departure());
  }

  /** Notes whose call is on the stack. */
  #departure<I extends Partial<Item>>(): MonoTypeOperatorFunction<I> {
    return this.#linked((item, pass) => {
      const outer = this.#call;
      this.#call = item?.id ?? 'end';
      if (item?.id !== undefined) {
        this.#emitted.push(item.id);
        this.#tell('emitted', [item.id]);
      }
      try {
        pass();
      } finally {
        this.#call = outer;
      }
    });
  }

  #arrival(): OperatorFunction<unknown, Seen> {
    return (input) =>
      new Observable((subscriber) =>
        input.subscribe(
          link<unknown, Seen>(subscriber, {
            next: (value) => {
              const ids = this.#standsFor(value);
              this.log.push({ what: 'arrived', ids, call: this.#call });
              subscriber.next({ ids });
            },
          }),
        ),
      );
  }

  #linked<I>(notify: (item: I | undefined, pass: () => void) => void): MonoTypeOperatorFunction<I> {
    return (input) =>
      new Observable((subscriber) =>
        input.subscribe(
          link<I, I>(subscriber, {
            next(item) {
              notify(item, () => {
                subscriber.next(item);
              });
            },
            complete() {
              notify(undefined, () => {
                subscriber.complete();
              });
            },
          }),
        ),
      );
  }

  #standsFor(value: unknown): readonly number[] {
    const { standsFor } = this.#wiring;
    const nth = this.#arrivals++;
    if (standsFor === 'all') return [...this.#emitted];
    if (standsFor === 'latest') return this.#emitted.slice(-1);
    if (standsFor === 'nth') return this.#emitted.slice(nth, nth + 1);
    return idsIn(value);
  }

  async #deliver(seen: Seen): Promise<Seen> {
    await later(this.#setting.paced ? 6 : 1);
    this.#tell('stored', seen.ids);
    return seen;
  }

  async #store(batch: readonly Seen[]): Promise<void> {
    await later(2);
    for (const { ids } of batch) this.#tell('stored', ids);
  }

  #tell(what: Event['what'], ids: readonly number[]): void {
    this.log.push({ what, ids });
  }
}

interface Seen {
  readonly ids: readonly number[];
}

/** Whose Demand a source finds: that of the stage, one further down, or none. */
class ChainProbe {
  found: string | undefined;

  start(wiring: Wiring): void {
    const look = new Observable<Item>((subscriber) => {
      this.found ??= demandBelow(subscriber)?.owner?.name ?? 'nobody';
      subscriber.complete();
    });
    const empty = new Observable<Item>((subscriber) => {
      subscriber.complete();
    });
    const stage = poolMap((value: unknown) => [value], { concurrency: 1, name: 'stage' });
    // Windows and groups exist only where there are items: one comes first, in the same chain.
    runFlow(wiring.wire({ source: look, other: empty, slow: empty, stage }), {
      onWarning: () => undefined,
    }).then(
      () => undefined,
      () => undefined,
    );
  }
}

export type Chain = 'kept' | 'cut' | 'passes by';
export type Bound = 'held' | 'grows' | `+${number}`;
/** When what an item became reaches the stage. */
export type Arrival = 'its own call' | 'a later call' | 'no call' | 'never';

export interface Facts {
  readonly chain: Chain;
  /** Items inside the operator beyond what the limit of the stage allows. */
  readonly bound: Bound;
  /** In which calls items arrive; some do one thing and some another. */
  readonly arrivals: ReadonlySet<Arrival>;
  /** Most items that were inside the operator, between two calls, and arrived later. */
  readonly inside: number;
  readonly told: readonly string[];
  readonly tickets: Tickets;
}

export interface Tickets {
  /** How runs end: plainly, with a window of unsettled items, and under `strict`. */
  readonly ends: { readonly plain: Ends; readonly window: Ends; readonly strict: Ends };
  /** Acknowledged before the first result that holds it was stored: with and without `strict`. */
  readonly early: { readonly lenient: readonly string[]; readonly strict: readonly string[] };
  /** Acknowledged when one result was stored, while another that holds it was to come. */
  readonly again: { readonly lenient: readonly string[]; readonly strict: readonly string[] };
  /** Items that were settled never, or twice. */
  readonly unsettled: readonly string[];
  /** Runs that did not end. */
  readonly stalled: readonly string[];
}
export type Ends = ReadonlySet<string>;

const FEW = 20;
const MANY = 80;
const TICKETED = 13;
const WINDOW = 6;

const PACES = [false, true];

/** Measures every wiring, in virtual time. */
export async function measure<W extends Wiring>(wirings: readonly W[]): Promise<Map<W, Facts>> {
  const clock = install({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
  const facts = new Map<W, Facts>();
  try {
    for (const wiring of wirings) {
      const probes = startAll(wiring);
      await runOut(clock);
      for (const probe of probes.all) probe.stop();
      await runOut(clock);
      facts.set(wiring, factsOf(probes));
    }
  } finally {
    clock.uninstall();
  }
  return facts;
}

/** Timer by timer; promises in between have their turn, as in Node. */
async function runOut(clock: Clock): Promise<void> {
  const until = clock.now + PATIENCE_MS;
  await turn();
  while (clock.countTimers() > 0 && clock.now < until) {
    clock.next();

    await turn();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Probes {
  readonly chain: ChainProbe;
  readonly bounds: readonly { readonly few: Probe; readonly many: Probe }[];
  readonly tickets: readonly Ticketed[];
  readonly all: readonly Probe[];
}

interface Ticketed {
  readonly setting: Setting;
  /** The same flow without tickets. */
  readonly reference: Probe;
  readonly probe: Probe;
}

/** Runs of an acknowledged source, each at both paces, with and without `strict`. */
const TICKETED_RUNS = [{}, { window: WINDOW }, { abortAtMs: 3 }, { abortAtMs: 8 }, { drainAtMs: 5 }];

function startAll(wiring: Wiring): Probes {
  const all: Probe[] = [];
  const start = (setting: Setting): Probe => {
    const probe = new Probe(wiring, setting);
    all.push(probe);
    probe.start();
    return probe;
  };
  const chain = new ChainProbe();
  chain.start(wiring);
  const bounds = PACES.map((paced) => {
    const setting = { paced, stores: false, acknowledged: false };
    return { few: start({ ...setting, items: FEW }), many: start({ ...setting, items: MANY }) };
  });
  const tickets = PACES.flatMap((paced) => {
    const plain = { items: TICKETED, paced, stores: true, acknowledged: false };
    const reference = start(plain);
    return [false, true].flatMap((strict) =>
      TICKETED_RUNS.map((variation) => {
        const setting: Setting = { ...plain, acknowledged: true, strict, ...variation };
        return { setting, reference, probe: start(setting) };
      }),
    );
  });
  return { chain, bounds, tickets, all };
}

function factsOf({ chain, bounds, tickets }: Probes): Facts {
  const spans = bounds.map(({ few, many }) => ({ few: spanOf(few.log), many: spanOf(many.log) }));
  const arrivals = new Set(bounds.flatMap(({ many }) => [...arrivalsOf(many.log)]));
  const told = new Set(bounds.flatMap(({ many }) => many.warnings));
  return {
    chain: chain.found === 'stage' ? 'kept' : chain.found === 'runFlow' ? 'passes by' : 'cut',
    bound: boundOf(spans.map(({ few, many }) => [beyond(few), beyond(many)])),
    inside: Math.max(...spans.map(({ many }) => many.inside)),
    arrivals,
    told: [...told],
    tickets: ticketFacts(tickets),
  };
}

interface Span {
  /** Most items inside the operator between two calls. */
  readonly inside: number;
  /** Most results inside the stage. */
  readonly held: number;
}

/** What is held at most; of items that never arrive nobody can say when they left. */
function spanOf(log: readonly Event[]): Span {
  const arriving = new Set(log.flatMap(({ what, ids }) => (what === 'arrived' ? ids : [])));
  const within = new Set<number>();
  let inside = 0;
  let stage = 0;
  let held = 0;
  for (const { what, ids, call } of log) {
    if (what === 'emitted' || (what === 'arrived' && call === undefined))
      inside = Math.max(inside, within.size);
    if (what === 'emitted') for (const id of ids) if (arriving.has(id)) within.add(id);
    if (what === 'arrived') {
      for (const id of ids) within.delete(id);
      stage++;
    }
    if (what === 'stored') stage--;
    held = Math.max(held, stage);
  }
  return { inside: Math.max(inside, within.size), held };
}

function beyond({ inside, held }: Span): number {
  return inside + Math.max(0, held - LIMIT);
}

function boundOf(pairs: readonly (readonly [number, number])[]): Bound {
  if (pairs.some(([few, many]) => many - few > (MANY - FEW) / 10)) return 'grows';
  const most = Math.max(...pairs.flat());
  return most === 0 ? 'held' : `+${most}`;
}

function arrivalsOf(log: readonly Event[]): Set<Arrival> {
  const first = new Map<number, Call>();
  for (const { what, ids, call } of log) {
    if (what === 'arrived') for (const id of ids) if (!first.has(id)) first.set(id, call);
  }
  const arrivals = new Set<Arrival>();
  for (const { what, ids, call } of log) {
    if (what === 'arrived' && ids.length > 0 && call === undefined) arrivals.add('no call');
    if (what !== 'emitted') continue;
    for (const id of ids) {
      const call = first.get(id);
      if (!first.has(id)) arrivals.add('never');
      else if (call === undefined) arrivals.add('no call');
      else arrivals.add(call === id ? 'its own call' : 'a later call');
    }
  }
  return arrivals;
}

function ticketFacts(runs: readonly Ticketed[]): Tickets {
  const ends = { plain: new Set<string>(), window: new Set<string>(), strict: new Set<string>() };
  const early = { lenient: [] as string[], strict: [] as string[] };
  const again = { lenient: [] as string[], strict: [] as string[] };
  const unsettled: string[] = [];
  const stalled: string[] = [];
  for (const { setting, reference, probe } of runs) {
    const { strict, window, abortAtMs, drainAtMs } = setting;
    const mode = strict ? 'strict' : 'lenient';
    if (abortAtMs === undefined && drainAtMs === undefined)
      ends[strict ? 'strict' : window ? 'window' : 'plain'].add(probe.end ?? '');
    const name = `${setting.paced ? 'paced' : 'sync'} ${mode}${window ? ' window' : ''}${abortAtMs ? ` abort ${abortAtMs}` : ''}${drainAtMs ? ' drain' : ''}`;
    // What a completed flow did not store was dropped; what one that was stopped did not store may have been held.
    const found = settlementsOf(probe.log, probe.end === 'completed' ? [] : reference.log);
    if (probe.end === 'stalled') stalled.push(name);
    if (found.early.length > 0) early[mode].push(`${name}: ${found.early.join(' ')}`);
    if (found.again.length > 0) again[mode].push(`${name}: again ${found.again.join(' ')}`);
    if (found.wrong.length > 0) unsettled.push(`${name}: ${found.wrong.join(' ')}`);
  }
  return { ends, early, again, unsettled, stalled };
}

function settlementsOf(
  log: readonly Event[],
  reference: readonly Event[],
): { early: number[]; again: number[]; wrong: string[] } {
  const at = (events: readonly Event[], what: Event['what'], id: number): number[] =>
    [...events.keys()].filter((i) => events[i]?.what === what && events[i]?.ids.includes(id));
  const early: number[] = [];
  const again: number[] = [];
  const wrong: string[] = [];
  for (const id of log.flatMap(({ what, ids }) => (what === 'emitted' ? ids : []))) {
    const acknowledged = at(log, 'acknowledged', id);
    const count = acknowledged.length + at(log, 'handedBack', id).length;
    if (count !== 1) wrong.push(`${id} settled ${count} times`);
    const settledAt = acknowledged[0];
    if (settledAt === undefined) continue;
    const stored = at(log, 'stored', id);
    const first = stored[0];
    const inAll = Math.max(stored.length, at(reference, 'stored', id).length);
    if (first === undefined ? inAll > 0 : first > settledAt) early.push(id);
    else if (stored.filter((i) => i < settledAt).length < inAll) again.push(id);
  }
  return { early, again, wrong };
}
