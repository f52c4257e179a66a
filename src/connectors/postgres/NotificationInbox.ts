import { QueueOverflowError } from '../../errors.ts';
import { RingQueue } from '../../queue/RingQueue.ts';
import { toldOnly } from '../../work/toldOf.ts';

/** A notification that there was no room for. */
export interface DroppedNotification {
  readonly payload: string;
  readonly reason: 'dropOldest' | 'dropNewest';
}

export interface InboxSettings {
  readonly name: string;
  readonly capacity: number;
  readonly overflow: 'catchUp' | 'fail' | 'dropOldest' | 'dropNewest';
  readonly onDrop: ((dropped: DroppedNotification) => unknown) | undefined;
}

/** Notifications that wait for the stage below. The server cannot be made to wait, so there is a bound. */
export class NotificationInbox {
  readonly #settings: InboxSettings;
  readonly #payloads = new RingQueue<string>();
  readonly #closing = new AbortController();
  #behind = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(settings: InboxSettings) {
    this.#settings = settings;
  }

  /** Aborted when nothing more is taken in. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /** Something may have been missed, and has to be caught up with first. Nothing waits meanwhile: it is part of that. */
  get behind(): boolean {
    return this.#behind && !this.closed.aborted;
  }

  put(payload: string): void {
    if (this.#behind || this.closed.aborted) return;
    const { name, capacity, overflow } = this.#settings;
    if (this.#payloads.size < capacity) this.#add(payload);
    else if (overflow === 'catchUp') this.fallBehind();
    else if (overflow === 'fail') this.fail(new QueueOverflowError(name, capacity));
    else if (overflow === 'dropNewest') this.#drop(payload, overflow);
    else {
      this.#drop(this.#payloads.take(), overflow);
      this.#add(payload);
    }
  }

  fallBehind(): void {
    this.#behind = true;
    this.#forget();
    this.#wake?.();
  }

  /** Catching up begins now: it gives all that was told of before. */
  beginCatchUp(): void {
    this.#behind = false;
    this.#forget();
  }

  /** Takes in nothing more. What waits can be taken. */
  close(): void {
    this.#closing.abort();
    this.#wake?.();
  }

  /** The same, and then this error. */
  fail(error: unknown): void {
    if (!this.closed.aborted) this.#failure = { error };
    this.close();
  }

  /** Waits until there is something to take, or to catch up with. False: there will be nothing more. */
  async filled(): Promise<boolean> {
    while (!this.behind && this.#payloads.size === 0) {
      if (this.#failure) throw this.#failure.error;
      if (this.closed.aborted) return false;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return true;
  }

  /** The payload that has waited longest. Only after `filled`, and not while behind. */
  take(): string {
    return this.#payloads.take();
  }

  #add(payload: string): void {
    this.#payloads.push(payload);
    this.#wake?.();
  }

  #forget(): void {
    while (this.#payloads.size > 0) this.#payloads.take();
  }

  #drop(payload: string, reason: DroppedNotification['reason']): void {
    const { onDrop } = this.#settings;
    if (onDrop) toldOnly(onDrop, { payload, reason }, (error) => this.fail(error));
  }
}
