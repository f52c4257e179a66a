import type { Subscriber } from 'rxjs';
import { now } from '../clock.ts';
import type { StageIdentity } from '../metrics/StageMeter.ts';
import { StageMeter } from '../metrics/StageMeter.ts';
import { toldOf } from '../work/toldOf.ts';
import type { Sink, SinkEnding } from '../work/Sink.ts';

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
  /** Records that a source could not read, and that its `onBadRecord` set aside. */
  setAside = 0;
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
  readonly sinks = new Map<Pick<Sink<never>, 'close'>, string>();
  /** Stopped by abort: what is inside is handed back. */
  aborted = false;
  /** Items that were on their way to a stage when the run was aborted. */
  lost = 0;
  /** What is still closing, or still unsettled: the run waits for it, for `closeWithinMs`. */
  readonly closing = new Set<Promise<unknown>>();
  /** Scopes of resources that are closing, each after what is inside it. */
  readonly scopes = new Set<Promise<unknown>>();
  /** How long the end of the run waits for what is closing, in milliseconds. */
  closeWithinMs = 1_000;

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

  /** The end of the run waits for something that takes `ms` to close at most, and may tell of it when it takes longer. */
  allowForClosing(ms: number): void {
    this.closeWithinMs = Math.max(this.closeWithinMs, ms + 100);
  }

  over(): void {
    for (const run of this.#whenOver) run();
    this.#whenOver.clear();
  }

  /** A debug hook that throws or rejects changes nothing. The first time is a warning, and the others are counted. */
  #harmless(trace: (event: ItemEvent) => unknown): (event: ItemEvent) => void {
    let failures = 0;
    this.whenOver(() => {
      if (failures > 1) this.note(`runFlow: debug failed ${failures} times`);
    });
    const failed = (error: unknown): void => {
      if (++failures === 1) warnOf(this, 'runFlow', 'debug', error);
    };
    return (event) => {
      try {
        toldOf(trace, event, failed);
      } catch (error) {
        failed(error);
      }
    };
  }
}

/** Closes something; the end of the run, if there is one, waits for it. That it fails or throws is a warning. */
export function waitForClosing(run: Run | undefined, close: () => unknown, what: string): void {
  void whenClosed(run, close, what);
}

/** The same; the result never rejects, and is undefined where closing takes no time. */
export function whenClosed(
  run: Run | undefined,
  close: () => unknown,
  what: string,
): Promise<unknown> | undefined {
  let closing: unknown;
  try {
    closing = close();
  } catch (error) {
    closing = Promise.reject(error);
  }
  if (closing === undefined) return undefined;
  const watched: Promise<unknown> = Promise.resolve(closing)
    .catch((error: unknown) => {
      warnOf(run, what, 'closing', error);
    })
    .finally(() => run?.closing.delete(watched));
  run?.closing.add(watched);
  return watched;
}

/** Closes a sink once it is no longer needed: at the end of the run, or, without one, of the subscription. */
export function closeAtEnd(
  sink: Pick<Sink<never>, 'close'>,
  stage: { readonly run: Run | undefined; readonly name: string; readonly ending: SinkEnding },
  subscriber: Subscriber<unknown>,
): void {
  if (!sink.close) return;
  if (stage.run) stage.run.sinks.set(sink, stage.name);
  else
    subscriber.add(() => {
      waitForClosing(undefined, () => sink.close?.(stage.ending), stage.name);
    });
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
