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
  finalize,
  map,
  merge,
  mergeMap,
  of,
  pairwise,
  repeat,
  retry,
  scan,
  startWith,
  switchMap,
  take,
  takeWhile,
  tap,
  timer,
  type MonoTypeOperatorFunction,
  type Observable,
  type OperatorFunction,
} from 'rxjs';
import type * as sluice from 'sluice';
import { early, lost, settled, type Log } from '../contract/acknowledged.ts';
import { drive, sleep } from './drive.ts';
import { limitsOf, type Limits } from './limits.ts';
import type { Graph, Head, Inner, Op, Supply } from './graph.ts';

/** The library under test, or a twin with one change. */
export type Library = typeof sluice;

type Text = MonoTypeOperatorFunction<string>;

/** One run of a graph under fake timers. The text of a value names the items that it came from: `i3` became `i3a`. */
export class GraphTrial {
  readonly #sluice: Library;
  readonly #graph: Graph;
  readonly #limits: Limits;
  readonly #log: Log = [];
  readonly #pulled: string[] = [];
  /** The same, with what they were pulled for. */
  readonly #texts: string[] = [];
  /** Items of which an operator let go on purpose. */
  readonly #letGo = new Set<string>();
  /** Values of which `switchMap` left the stream, with all that was pulled for them. */
  readonly #left: string[] = [];
  /** At which something threw below the sources, and everything was tried again. */
  readonly #threw: string[] = [];
  /** What `exhaustMap` did not ask for. */
  readonly #ignored = new Set<string>();
  #items = 0;
  #stages = 0;
  readonly #faults: string[] = [];
  #run: sluice.FlowRun | undefined;
  #stuck = false;
  /** How the run ended, or the code or message of its error. */
  end = 'stuck';

  constructor(library: Library, graph: Graph) {
    this.#sluice = library;
    this.#graph = graph;
    this.#limits = limitsOf(graph);
  }

  /** Runs it; answers what must not be. */
  async execute(): Promise<string[]> {
    const { strict, stop, takes, sink, supplies, joined, ops } = this.#graph;
    const sources = supplies.map((supply) => this.#supply(supply));
    const all =
      sources.length === 1 ? sources[0]! : joined === 'merge' ? merge(...sources) : concat(...sources);
    const store = async (values: readonly string[]): Promise<void> => {
      await sleep(values[0]!.length % 4);
      for (const value of values) this.#log.push(`store ${value}`);
      this.#balance();
    };
    const stored = this.#chain(all, ops, '').pipe(this.#sluice.storeTo(store, sink));
    const run = this.#sluice.runFlow(takes === undefined ? stored : stored.pipe(take(takes)), {
      strict,
      onWarning: () => undefined,
    });
    this.#run = run;
    let ended = false;
    const over = run.then(
      ({ end }) => {
        this.end = end;
        ended = true;
        if (!this.#stuck) this.#check();
      },
      (error: unknown) => {
        const { code, message } = (error ?? {}) as Partial<Error> & { readonly code?: string };
        this.end = code ?? message ?? 'failed';
        ended = true;
        this.#check();
      },
    );
    if (stop) setTimeout(() => void run[stop.kind]().catch(() => undefined), stop.atMs);
    await drive(() => ended);
    if (!ended) {
      this.#stuck = true;
      if (!this.#limits.stalls) this.#faults.push('the run does not end');
      void run.abort().catch(() => undefined);
      await drive(() => ended);
      return this.#told();
    }
    await over;
    // What goes on after the end may be stored, and settles nothing.
    await drive(() => false);
    this.#checkSettled();
    return this.#told();
  }

  #told(): string[] {
    if (this.#faults.length === 0) return [];
    return [...new Set(this.#faults), `${this.end}: ${this.#log.join(', ')}`];
  }

  /** Once the run is over. */
  #check(): void {
    const limits = this.#limits;
    const { end } = this;
    const ends = ['completed', this.#graph.stop?.kind === 'drain' ? 'drained' : 'aborted'];
    if (limits.later) ends.push('TICKET_LOST');
    if (limits.window) ends.push('TICKET_HELD');
    if (limits.overflow) ends.push('QUEUE_OVERFLOW');
    if (this.#graph.strict) ends.push('TICKET_UNCLAIMED', 'UNCLAIMED', 'OVERRUN');
    // What `retry` is told to try again once may have been one of these.
    if (ends.length > 2) ends.push('once');
    if (end === 'aborted' && this.#graph.stop?.kind === 'drain') {
      // After `drainTimeoutMs`.
      if (!limits.stalls) this.#faults.push('draining does not end');
    } else if (!ends.includes(end)) this.#faults.push(`it ends with ${end}`);
    this.#checkSettled();
    this.#checkHandedBack();
    this.#balance(true);
  }

  /** Each item was settled once, none too early, and what is acknowledged was stored. */
  #checkSettled(): void {
    const limits = this.#limits;
    const all = [...settled(this.#log, 'ack'), ...settled(this.#log, 'nak')];
    const twice = all.filter((item, at) => all.indexOf(item) !== at);
    this.#none('settled twice', twice);
    const open = this.#pulled.filter((item) => !all.includes(item));
    if (!limits.stalls) this.#none('not settled', open);
    if (limits.early) return;
    this.#none('acknowledged early', early(this.#log));
    for (const value of [...this.#ignored, ...this.#left]) this.#lets(value);
    const isLeft = (text: string): boolean => this.#left.some((value) => text.startsWith(value));
    for (const text of this.#texts) if (isLeft(text)) this.#lets(text);
    const gone = lost(this.#log).filter((item) => !this.#letGo.has(item));
    this.#none('acknowledged, and stored nowhere', gone);
    const acknowledged = new Set(settled(this.#log, 'ack'));
    const failed = this.#threw.filter((item) => acknowledged.has(item));
    this.#none('acknowledged, although a native operator threw at it', failed);
  }

  #none(fault: string, items: readonly string[]): void {
    if (items.length > 0) this.#faults.push(`${fault}: ${items.join()}`);
  }

  /** In a run to the end, without an operator that ends early or throws, nothing is handed back. */
  #checkHandedBack(): void {
    const { takes, stop } = this.#graph;
    const { cut, early } = this.#limits;
    if (this.end !== 'completed' || takes !== undefined || stop || cut || early) return;
    this.#none('handed back, and nothing failed', settled(this.#log, 'nak'));
  }

  /** The ledger of every stage; once the run is over, what a stage holds was handed back. */
  #balance(over = false): void {
    if (!this.#run) return;
    const { stages, left } = this.#run.report();
    for (const { name, in: came, out, rejected, dropped, dead, held } of stages) {
      const balanced = held >= 0 && came === out + rejected + dropped + dead + held;
      const handedBack = left.filter(({ stage }) => stage === name).length;
      if (balanced && (!over || held <= handedBack)) continue;
      const terms = `${out} out, ${rejected} rejected, ${dropped} dropped, ${dead} dead, ${held} held`;
      this.#faults.push(`${name}: ${came} in, ${terms}, ${handedBack} handed back`);
    }
  }

  /** An operator lets go of all that is in a value. */
  #lets(value: string): void {
    for (const item of value.match(/i\d+/g) ?? []) this.#letGo.add(item);
  }

  #name(kind: string): string {
    return `${kind} ${++this.#stages}`;
  }

  /** An acknowledged source. What is subscribed again gives other items. */
  #supply({ count, everyMs, maxPending }: Supply, prefix = ''): Observable<string> {
    const pull = (): string => {
      const item = `i${++this.#items}`;
      this.#pulled.push(item);
      const text = `${prefix}${item}`;
      this.#texts.push(text);
      return text;
    };
    const onSettled = ({ value, failure }: sluice.Settlement<string>): void => {
      this.#log.push(`${failure === undefined ? 'ack' : 'nak'} ${value.slice(prefix.length)}`);
      this.#balance();
    };
    const settings = { onSettled, ...(maxPending === undefined ? {} : { maxPending }) };
    if (everyMs === undefined) {
      return this.#sluice.fromPull<string>(function* () {
        for (let i = 0; i < count; i++) yield pull();
      }, settings);
    }
    return this.#sluice.fromPull<string>(async function* () {
      for (let i = 0; i < count; i++) {
        if (everyMs > 0) await sleep(everyMs);
        yield pull();
      }
    }, settings);
  }

  /** Parts of a value: `i3a`, `i3b` … */
  #parts(
    value: string,
    count: number,
    everyMs: number | undefined,
    fails = (): boolean => false,
  ): Observable<string> {
    const parts = Array.from('abc'.slice(0, count), (part) => `${value}${part}`);
    if (everyMs === undefined) {
      return this.#sluice.fromPull(function* () {
        yield* parts;
        if (fails()) throw new Error('once');
      });
    }
    return this.#sluice.fromPull(async function* () {
      for (const part of parts) {
        if (everyMs > 0) await sleep(everyMs);
        yield part;
      }
      if (fails()) throw new Error('once');
    });
  }

  #inner({ head, ops }: Inner, value: string): Observable<string> {
    return this.#chain(this.#head(head, value), ops, value);
  }

  #head(head: Head, value: string): Observable<string> {
    switch (head.kind) {
      case 'of':
        return of(...Array.from('abc'.slice(0, head.parts), (part) => `${value}${part}`));
      case 'fromPull':
        if (head.parts === 0) this.#lets(value);
        if (head.own)
          return this.#supply({ count: head.parts, everyMs: head.everyMs, maxPending: undefined }, value);
        return this.#parts(value, head.parts, head.everyMs);
      case 'failing':
        return this.#failing(head, value);
      case 'timer':
        return timer(head.ms).pipe(map(() => `${value}t`));
      case 'empty':
        this.#lets(value);
        return EMPTY;
      case 'merge':
      case 'concat': {
        const [one, other] = head.inners.map((inner, at) => this.#inner(inner, `${value}${'xy'[at]!}`));
        return head.kind === 'merge' ? merge(one!, other!) : concat(one!, other!);
      }
    }
  }

  #failing({ parts, everyMs, then }: Head & { kind: 'failing' }, value: string): Observable<string> {
    let failed = false;
    const fails = (): boolean => !failed && (failed = true);
    const source = this.#parts(value, parts, everyMs, fails);
    if (parts === 0) this.#lets(value);
    switch (then) {
      case 'retry':
        return source.pipe(retry(1));
      case 'retry later':
        return source.pipe(retry({ count: 1, delay: 2 }));
      case 'of':
        return source.pipe(catchError(() => of(`${value}d`)));
      case 'fromPull':
        return source.pipe(catchError(() => this.#parts(`${value}d`, 2, everyMs)));
    }
  }

  /** `whole`: the value of which all is a part, in an inner stream; below the sources none. */
  #chain(source: Observable<string>, ops: readonly Op[], whole: string): Observable<string> {
    return ops.reduce((flow, op) => this.#op(op, whole)(flow), source);
  }

  #op(op: Op, whole: string): Text {
    const { filterOr, drops, poolMap, batch, boundedQueue, broadcast, route } = this.#sluice;
    switch (op.kind) {
      case 'map':
        return map((value) => `${value}m`);
      case 'tap':
        return tap(() => undefined);
      case 'scan':
        return scan((last: string, value) => `${last.slice(last.lastIndexOf('+') + 1)}+${value}`);
      case 'pairwise':
        return this.#pairwise();
      case 'startWith':
        return startWith(`${whole}s`);
      case 'endWith':
        return endWith(`${whole}z`);
      case 'filter':
        return filter((value) => this.#keeps(value, op.mod));
      case 'drops':
        return drops(filter((value: string) => this.#keeps(value, op.mod)));
      case 'filterOr':
        return filterOr((value: string) => this.#keeps(value, op.mod), { name: this.#name('filterOr') });
      case 'take':
        return take(op.count);
      case 'takeWhile': {
        return (source) => {
          let seen = 0;
          return source.pipe(
            takeWhile((value) => {
              const goesOn = ++seen <= op.count;
              if (!goesOn) this.#lets(value);
              return goesOn;
            }),
          );
        };
      }
      case 'bufferCount':
        return (source) => {
          const buffers = source.pipe(bufferCount(op.size));
          return op.unpack
            ? buffers.pipe(concatMap((values) => values))
            : buffers.pipe(map((values) => values.join('+')));
        };
      case 'retry':
        return (source) =>
          source.pipe(
            failsOnce(op.at, (value) => {
              if (whole === '') this.#threw.push(...(value.match(/i\d+/g) ?? []));
            }),
            retry({ count: 1, ...(op.delayMs === undefined ? {} : { delay: op.delayMs }) }),
          );
      case 'catchError':
        return (source) =>
          source.pipe(
            failsOnce(op.at, (value) => {
              this.#lets(value.slice(whole.length));
            }),
            // What comes instead is a part of the whole, and of nothing that came from an acknowledged source in it.
            catchError(() => this.#inner(op.by, whole)),
          );
      case 'repeat':
        return repeat({ count: 2, ...(op.delayMs === undefined ? {} : { delay: op.delayMs }) });
      case 'concatWith':
        return concatWith(this.#inner(op.by, whole));
      case 'flatten':
        return this.#flatten(op);
      case 'poolMap': {
        const { work } = op;
        return poolMap(
          (value: string) => {
            if (work === 'now') return of(`${value}n`);
            if (work === 'later') return sleep(value.length % 3).then(() => `${value}l`);
            return this.#inner(work, value);
          },
          { concurrency: op.concurrency, ordered: op.ordered, name: this.#name('poolMap') },
        );
      }
      case 'batch':
        return (source) => {
          const batches = source.pipe(
            batch<string>({ maxItems: op.maxItems, maxWaitMs: op.maxWaitMs, name: this.#name('batch') }),
          );
          return op.unpack
            ? batches.pipe(concatMap((values) => values))
            : batches.pipe(map((values) => values.join('+')));
        };
      case 'boundedQueue':
        return boundedQueue({ capacity: op.capacity, name: this.#name('boundedQueue') });
      case 'broadcast':
        return broadcast<string, string[]>(
          op.branches.map((ops) => (source: Observable<string>) => this.#chain(source, ops, whole)),
          { name: this.#name('broadcast') },
        );
      case 'route': {
        const [even, odd] = op.branches.map(
          (ops) => (source: Observable<string>) => this.#chain(source, ops, whole),
        );
        return route((value: string) => (sum(value) % 2 === 0 ? 'even' : 'odd'), {
          branches: { even: even!, odd: odd! },
          rejected: (value) => {
            this.#lets(value);
          },
          name: this.#name('route'),
        });
      }
    }
  }

  #flatten({ how, inners }: Op & { kind: 'flatten' }): Text {
    const inner = (value: string): Observable<string> =>
      this.#inner(inners[sum(value) % inners.length]!, value);
    switch (how) {
      case 'mergeMap':
        return mergeMap(inner);
      case 'mergeMap, 2':
        return mergeMap(inner, 2);
      case 'concatMap':
        return concatMap(inner);
      case 'switchMap':
        return switchMap((value) => {
          let completed = false;
          return inner(value).pipe(
            tap({ complete: () => (completed = true) }),
            finalize(() => {
              if (!completed) this.#left.push(value);
            }),
          );
        });
      case 'exhaustMap':
        return (source) =>
          source.pipe(
            tap((value) => this.#ignored.add(value)),
            exhaustMap((value) => {
              this.#ignored.delete(value);
              return inner(value);
            }),
          );
    }
  }

  #pairwise(): OperatorFunction<string, string> {
    return (source) => {
      let first = '';
      let seen = 0;
      return source.pipe(
        tap((value) => {
          if (seen++ === 0) first = value;
        }),
        pairwise(),
        map((pair) => pair.join('+')),
        finalize(() => {
          if (seen === 1) this.#lets(first);
        }),
      );
    };
  }

  #keeps(value: string, mod: number): boolean {
    const kept = sum(value) % mod !== 0;
    if (!kept) this.#lets(value);
    return kept;
  }
}

/** A number that differs for most texts. */
function sum(value: string): number {
  let total = 0;
  for (const letter of value) total += letter.charCodeAt(0);
  return total;
}

/** Throws at one value of those that pass, once. */
function failsOnce(at: number, told: (value: string) => void): Text {
  let seen = 0;
  return map((value) => {
    if (++seen !== at) return value;
    told(value);
    throw new Error('once');
  });
}
