import type { Observable, Subscription } from 'rxjs';
import { after, subscriptionClock } from '../clock.ts';
import { Demand, UNLIMITED, type DemandOwner } from '../demand/Demand.ts';
import { HandedBackError, reasonOf, TicketLostError } from '../errors.ts';
import { ConnectionUse, type CountedConnections } from '../metrics/connections.ts';
import { SourceMeter } from '../metrics/SourceMeter.ts';
import { StageMeter, type StageIdentity } from '../metrics/StageMeter.ts';
import { Inlet, type Receiver } from '../rx/Inlet.ts';
import { current, under } from '../tickets/current.ts';
import type { Closable } from '../work/Sink.ts';
import { toldOnly } from '../work/toldOf.ts';
import { warnOnConsole } from '../warnOnConsole.ts';

/** One step in the life of an item, as the debug mode tells it. */
export interface ItemEvent {
  readonly stage: string;
  readonly event:
    | 'produced'
    | 'accepted'
    | 'started'
    | 'retried'
    | 'finished'
    | 'kept'
    | 'rejected'
    | 'dropped'
    | 'dead'
    | 'stored';
  readonly value: unknown;
  readonly worker?: number | undefined;
  readonly attempt?: number | undefined;
  /** What failed: of `retried`, the attempt before; of `finished`, `dropped` and `dead`, the last. */
  readonly error?: unknown;
}

/** An item that was left over when the flow was stopped. */
export interface LeftItem {
  readonly stage: string;
  readonly value: unknown;
}

/** Different ones that are kept and told of: what closes in the work of each item may fail in words of its own. */
const MAX_WARNINGS = 1_000;

/** How a flow has failed. */
export interface Failure {
  readonly error: unknown;
}

export interface RunSettings {
  readonly strict: boolean;
  /** An error in one stage stops all at once. */
  readonly abortsOnError: boolean;
  readonly onWarning: (message: string) => unknown;
  readonly debug: ((event: ItemEvent) => unknown) | undefined;
  /** It waits for what is closing above a loop, and counts nothing. */
  readonly ofLoop?: boolean;
}

/**
 * What the stages of one `runFlow` share: they find it down the chain, as they find their Demand. It is the end of that
 * chain, and takes everything.
 */
export class Run implements DemandOwner, Receiver<unknown> {
  readonly name = 'runFlow';
  readonly run: Run = this;
  readonly demand: Demand = new Demand(UNLIMITED, this);
  readonly now = subscriptionClock();
  readonly startedAt = this.now();
  /** Items that the sources have delivered into the flow. */
  itemsIn = 0;
  /** Items that came out at the end. */
  delivered = 0;
  /** Records that a source could not read, and that its `onBadRecord` set aside. */
  setAside = 0;
  readonly strict: boolean;
  readonly abortsOnError: boolean;
  /** Each once, however many stages say the same: a group has stages of its own. */
  readonly #warnings = new Set<string>();
  /** Those beyond `MAX_WARNINGS`. */
  #otherWarnings = 0;
  /** Present in debug mode only. */
  readonly trace: ((event: ItemEvent) => void) | undefined;
  /** From the bottom of the chain to the top, in the order of first subscription. */
  readonly meters = new Map<StageIdentity, StageMeter>();
  /** By name, since a flow may make any number of them, one after the other. */
  readonly sources = new Map<string, SourceMeter>();
  /** What its stages take connections from. */
  readonly connections = new Map<CountedConnections, ConnectionUse>();
  readonly left: LeftItem[] = [];
  /** Sinks to close at the end, each once, however often its stage was subscribed to. */
  readonly sinks = new Map<Closable, StageMeter>();
  /** Sinks that begin anew, and were closed with an item in whose work they stood. Absent: they may. */
  readonly closedInside: WeakSet<Closable> | undefined;
  /** Stopped by abort: what is inside is handed back. */
  aborted = false;
  /** Items that were on their way to a stage when the run was aborted. */
  lost = 0;
  /** What the end of the run waits for, for `closeWithinMs`; with the warning where that is not enough, if any. */
  readonly closing = new Map<Promise<unknown>, string>();
  /** Scopes of resources that are closing, each after what is inside it. */
  readonly scopes = new Set<Promise<unknown>>();
  /** How long the end of the run waits for what is closing, in milliseconds. */
  closeWithinMs = 1_000;
  readonly #onWarning: (message: string) => unknown;
  /** The stages inside items, by operator and name: each item may make new ones. */
  readonly #inner = new Map<string, StageMeter>();
  readonly #whenOver = new Set<(failure: Failure | undefined) => void>();
  #inlet: Inlet<unknown> | undefined;
  #over = false;

  constructor({ strict, abortsOnError, onWarning, debug, ofLoop = false }: RunSettings) {
    this.strict = strict;
    this.closedInside = ofLoop ? undefined : new WeakSet();
    this.abortsOnError = abortsOnError;
    this.#onWarning = onWarning;
    this.trace = debug && this.#harmless(debug);
  }

  /** `inner`: the stage works inside an item; stages of one name there are counted as one. */
  meter(identity: StageIdentity, inner: boolean): StageMeter {
    const label = `${identity.operator} ${identity.name}`;
    const known = inner ? this.#inner.get(label) : this.meters.get(identity);
    if (known) return known;
    const meter = new StageMeter(identity, this.startedAt);
    this.list(meter);
    if (inner) this.#inner.set(label, meter);
    if (identity.connections) this.#uses(identity.connections, meter);
    return meter;
  }

  /** Lists a stage above all others. Those of one name are told apart by a number, from the source to the end. */
  list(meter: StageMeter): void {
    const { name } = meter.identity;
    this.meters.delete(meter.identity);
    this.meters.set(meter.identity, meter);
    this.#number(name);
    const numbered = /^(.+)#\d+$/.exec(name);
    if (numbered?.[1] !== undefined) this.#number(numbered[1]); // whose number that would be
  }

  /** Numbers the stages of one name; not by a name that the user has given to another. */
  #number(name: string): void {
    const all = [...this.meters.values()];
    const same = all.filter(({ identity }) => identity.name === name);
    if (same.length < 2) return;
    const given = new Set(all.map(({ identity }) => identity.name));
    let number = 0;
    for (const each of same.reverse()) {
      do number++;
      while (given.has(`${name}#${number}`));
      each.name = `${name}#${number}`;
    }
  }

  /** Sources of one name are counted as one. */
  source(name: string): SourceMeter {
    const meter = this.sources.get(name) ?? new SourceMeter(name, this.now);
    this.sources.set(name, meter);
    return meter;
  }

  #uses(connections: CountedConnections, meter: StageMeter): void {
    const use = this.connections.get(connections) ?? new ConnectionUse(connections);
    use.meters.push(meter);
    this.connections.set(connections, use);
  }

  /** An item was emitted towards a stage, and did not arrive because the run was aborted in between. */
  lostOnTheWay(stage: string, value: unknown): void {
    if (!this.aborted) return;
    this.lost++;
    this.left.push({ stage, value });
  }

  /** Calls `tell` when the run is over, however it ends. */
  whenOver(tell: (failure: Failure | undefined) => void): void {
    this.#whenOver.add(tell);
  }

  /** The end of the run waits for something that takes `ms` to close at most, and may tell of it when it takes longer. */
  allowForClosing(ms: number): void {
    this.closeWithinMs = Math.max(this.closeWithinMs, ms + 100);
  }

  /** Has the end of the run wait for a promise that never rejects. `late`: the warning where it takes too long; empty: none. */
  waitFor(promise: Promise<unknown>, late: string): Promise<unknown> {
    const awaited: Promise<unknown> = promise.finally(() => this.closing.delete(awaited));
    this.closing.set(awaited, late);
    return awaited;
  }

  /** Resolves when nothing is closing any more, or that has taken too long. To be asked a turn after the end: who is above leaves then. */
  async closed(): Promise<void> {
    const { closing, scopes } = this;
    if (closing.size + scopes.size === 0) return;
    let timeout: Subscription | undefined;
    const late = new Promise<void>((resolve) => {
      timeout = after(this.closeWithinMs, resolve);
    });
    const allClosed = async (): Promise<void> => {
      while (closing.size + scopes.size > 0) await Promise.all([...closing.keys(), ...scopes]);
    };
    await Promise.race([allClosed(), late]);
    timeout?.unsubscribe();
    for (const warning of closing.values()) if (warning !== '') this.warn(warning);
  }

  /** Puts a line into the report, without a warning. */
  note(message: string): void {
    if (this.#warnings.size < MAX_WARNINGS) this.#warnings.add(message);
    else if (!this.#warnings.has(message)) this.#otherWarnings++;
  }

  warn(message: string): void {
    if (this.#warnings.has(message)) return;
    this.note(message);
    if (this.#otherWarnings > 0) return;
    toldOnly(this.#onWarning, message, (error) => {
      this.note(`runFlow: onWarning failed: ${String(error)}`); // a hook changes nothing
    });
  }

  get warnings(): string[] {
    const others = this.#otherWarnings;
    return others === 0 ? [...this.#warnings] : [...this.#warnings, `runFlow: ${others} more warnings`];
  }

  connect(flow: Observable<unknown>): void {
    const inlet = new Inlet<unknown>(undefined, this);
    this.#inlet = inlet;
    this.demand.subscribe(() => under(null, () => flow.subscribe(inlet)));
  }

  abort(reason: unknown): void {
    this.aborted = true;
    this.#end(new HandedBackError(this.name, 'the flow was aborted', reason));
  }

  receive(): void {
    this.demand.claims++;
    this.delivered++;
    if (current.ticket === null) return;
    const ticket = this.demand.claim();
    if (ticket === undefined) this.fail(new TicketLostError(this.name));
    else ticket?.release();
  }

  inputEnded(): void {
    this.#end(undefined);
  }

  inputFailed(error: unknown): void {
    this.fail(error);
  }

  drained(): void {
    this.inputEnded();
  }

  complain(error: Error, fatal: boolean): void {
    if (fatal && this.strict) this.fail(error);
    else this.warn(error.message);
  }

  /** Ends the whole run with an error. */
  fail(error: unknown): void {
    this.#end(reasonOf(error), { error });
  }

  /** `reason`: why what is on its way is handed back. */
  #end(reason: unknown, failure?: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.demand.end(reason);
    void whenClosed(this, () => this.#inlet?.unsubscribe(), this.name);
    for (const tell of this.#whenOver) tell(failure);
    for (const use of this.connections.values()) use.over();
  }

  /** A debug hook that throws or rejects changes nothing. The first time is a warning, and the others are counted. */
  #harmless(debug: (event: ItemEvent) => unknown): (event: ItemEvent) => void {
    let failures = 0;
    this.whenOver(() => {
      if (failures > 1) this.note(`runFlow: debug failed ${failures} times`);
    });
    const failed = (error: unknown): void => {
      if (++failures === 1) warnOf(this, this.name, 'debug', error);
    };
    return (event) => {
      toldOnly(debug, event, failed);
    };
  }
}

/**
 * Closes, or leaves, something of the user's; the end of the run, if there is one, waits for it. That it fails or throws
 * is a warning, and stops nobody else. The result never rejects, and is undefined where closing takes no time.
 */
export function whenClosed(
  run: Run | undefined,
  close: () => unknown,
  what: string,
  late?: string,
): Promise<unknown> | undefined {
  let closing: unknown;
  try {
    closing = close();
  } catch (error) {
    closing = Promise.reject(error);
  }
  if (closing === undefined) return undefined;
  const watched = Promise.resolve(closing).catch((error: unknown) => {
    warnOf(run, what, 'closing', error);
  });
  return run?.waitFor(watched, late ?? `${what}: it is still closing`) ?? watched;
}

/** Warns that something of the user's has failed; in the report, where there is a run. */
export function warnOf(run: Run | undefined, what: string, step: string, error: unknown): void {
  const message = `${what}: ${step} failed: ${error instanceof Error ? error.message : String(error)}`;
  if (run) run.warn(message);
  else warnOnConsole(message);
}
