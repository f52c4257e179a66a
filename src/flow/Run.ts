import { now } from '../clock.ts';
import type { StageIdentity } from '../metrics/StageMeter.ts';
import { StageMeter } from '../metrics/StageMeter.ts';

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
  readonly worker?: number;
  readonly attempt?: number;
}

/** An item that was left over when the flow was stopped. */
export interface LeftItem {
  readonly stage: string;
  readonly value: unknown;
}

/** What the stages of one `runFlow` share: they find it down the chain, as they find their Demand. */
export class Run {
  readonly startedAt = now();
  /** Items that the sources have delivered into the flow. */
  itemsIn = 0;
  /** Items that came out at the end. */
  delivered = 0;
  readonly strict: boolean;
  /** An error in one stage stops all at once. */
  readonly abortsOnError: boolean;
  /** Ends the whole run with an error. */
  fail: (error: unknown) => void = () => undefined;
  readonly warn: (message: string) => void;
  /** Puts a line into the report, without a warning. */
  readonly note: (message: string) => void;
  /** Present in debug mode only. */
  readonly trace: ((event: ItemEvent) => void) | undefined;
  /** From the bottom of the chain to the top, in the order of first subscription. */
  readonly meters = new Map<StageIdentity, StageMeter>();
  /** The stages inside items, by operator and name: each item may make new ones. */
  readonly #inner = new Map<string, StageMeter>();
  readonly #whenOver = new Set<() => void>();
  readonly left: LeftItem[] = [];
  /** Sinks to close at the end, each once, however often its stage was subscribed to. */
  readonly sinks = new Map<{ close?(): Promise<void> }, string>();
  /** Stopped by abort: what is inside is handed back. */
  aborted = false;
  /** Items that were on their way to a stage when the run was aborted. */
  lost = 0;
  /** What is still closing, or still unsettled: the run waits for it, for a bounded time. */
  readonly closing = new Set<Promise<unknown>>();

  constructor(
    strict: boolean,
    abortsOnError: boolean,
    warn: (message: string) => void,
    note: (message: string) => void,
    trace: ((event: ItemEvent) => void) | undefined,
  ) {
    this.strict = strict;
    this.abortsOnError = abortsOnError;
    this.warn = warn;
    this.note = note;
    this.trace = trace && this.#harmless(trace);
  }

  /** `inner`: the stage works inside an item; stages of one name there are counted as one. */
  meter(identity: StageIdentity, inner: boolean): StageMeter {
    const label = `${identity.operator} ${identity.name}`;
    const known = inner ? this.#inner.get(label) : this.meters.get(identity);
    if (known) return known;
    const names = new Set([...this.meters.values()].map((meter) => meter.name));
    let { name } = identity;
    for (let n = 2; names.has(name); n++) name = `${identity.name}#${n}`;
    const meter = new StageMeter(identity, name, this.startedAt);
    this.meters.set(identity, meter);
    if (inner) this.#inner.set(label, meter);
    return meter;
  }

  /** An item was emitted towards a stage, and did not arrive because the run was aborted in between. */
  lostOnTheWay(stage: string, value: unknown): void {
    if (!this.aborted) return;
    this.lost++;
    this.left.push({ stage, value });
  }

  /** Calls `run` when the run is over, however it ends. */
  whenOver(run: () => void): void {
    this.#whenOver.add(run);
  }

  over(): void {
    for (const run of this.#whenOver) run();
    this.#whenOver.clear();
  }

  /** A debug hook that throws is a warning, and changes nothing. */
  #harmless(trace: (event: ItemEvent) => void): (event: ItemEvent) => void {
    return (event) => {
      try {
        trace(event);
      } catch (error) {
        warnOf(this, 'runFlow', 'debug', error);
      }
    };
  }
}

/** Closes something; the end of the run, if there is one, waits for it. That it fails or throws is a warning. */
export function waitForClosing(run: Run | undefined, close: () => unknown, what: string): void {
  let closing: unknown;
  try {
    closing = close();
  } catch (error) {
    closing = Promise.reject(error);
  }
  if (closing === undefined) return;
  const watched: Promise<unknown> = Promise.resolve(closing)
    .catch((error: unknown) => {
      warnOf(run, what, 'closing', error);
    })
    .finally(() => run?.closing.delete(watched));
  run?.closing.add(watched);
}

/** Leaves what is above or inside; a teardown of the user's that throws is a warning, and stops nobody else. */
export function leaveQuietly(run: Run | undefined, leave: () => void, what: string): void {
  try {
    leave();
  } catch (error) {
    warnOf(run, what, 'a teardown', error);
  }
}

function warnOf(run: Run | undefined, what: string, step: string, error: unknown): void {
  const message = `${what}: ${step} failed: ${error instanceof Error ? error.message : String(error)}`;
  if (run) run.warn(message);
  else console.warn(message);
}
