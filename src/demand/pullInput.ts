import { SourceUsedError } from '../errors.ts';
import { refuse } from '../options.ts';
import { isPromiseLike } from '../work/isPromiseLike.ts';

/** What a source can read: an iterable, an async iterable, a Node or web readable stream. */
export type Pullable<T> = Iterable<T> | AsyncIterable<T> | ReadableStream<T>;

/** That, or a function that opens one for each subscription, or promises one; the signal is aborted when the subscription ends. */
export type PullInput<T> = Pullable<T> | ((signal: AbortSignal) => Pullable<T> | PromiseLike<Pullable<T>>);

/** An input that is open. */
export interface Pull<T> {
  readonly opening: undefined;
  /** Present where pulling is synchronous. */
  readonly sync: Iterator<T, unknown> | undefined;
  next(): Promise<IteratorResult<T, unknown>>;
  /** Tells the input that no further item will be asked for; what it holds stays open. */
  stop(): void;
  /** Closes it now, also while a pull is pending; a promise where that takes time. */
  close(): Promise<unknown> | undefined;
}

/** An input that a promise opens. */
export interface Opening<T> {
  /** Resolves to what it has become. Whoever closes this one before that has closed the other as well. */
  readonly opening: Promise<Pull<T>>;
  stop(): void;
  close(): Promise<unknown>;
}

interface NodeStream {
  readonly pipe: unknown;
  destroy(): unknown;
  on(event: 'error', listener: () => void): unknown;
}

/** One-shot inputs that were read once: what they gave is gone. */
const used = /* @__PURE__ */ new WeakSet();

function readOnce(input: object, name: string): void {
  if (used.has(input)) throw new SourceUsedError(name);
  used.add(input);
}

function isWebStream<T>(input: Pullable<T>): input is ReadableStream<T> {
  return typeof (input as Partial<ReadableStream<T>>).getReader === 'function';
}

function isNodeStream(input: object): input is NodeStream {
  const { pipe, destroy } = input as Partial<NodeStream>;
  return typeof pipe === 'function' && typeof destroy === 'function';
}

/** Opens `input` for one subscription. Throws `SourceUsedError` for a one-shot input that was read before. */
export function openPull<T>(input: PullInput<T>, name: string): Pull<T> | Opening<T> {
  if (typeof input !== 'function') return pullOf(input, name);
  const controller = new AbortController();
  const opened = input(controller.signal);
  // What is both, as a query of some database clients, is read item by item.
  const isPromised = isPromiseLike(opened) && !(Symbol.asyncIterator in opened || Symbol.iterator in opened);
  return isPromised ? ofPromise(opened, name, controller) : pullOf(opened, name, controller);
}

function abort(controller: AbortController | undefined): void {
  controller?.abort(new DOMException('The source was closed', 'AbortError'));
}

/** That it fails with our own reason, as the body of a `fetch` that had the signal, is no news. */
async function closed(closing: PromiseLike<unknown>, controller: AbortController | undefined): Promise<void> {
  try {
    await closing;
  } catch (error) {
    if (!controller || error !== controller.signal.reason) throw error;
  }
}

/** Reads what is open; `controller`: of the signal that it was opened with. */
export function pullOf<T>(opened: Pullable<T>, name: string, controller?: AbortController): Pull<T> {
  if (typeof opened === 'string') return ofSync(opened as Iterable<T>, name, controller);
  if (typeof opened === 'object' && opened !== null) {
    if (isWebStream(opened)) return ofWebStream(opened, name, controller);
    if (Symbol.asyncIterator in opened) return ofAsync(opened, name, controller);
    if (Symbol.iterator in opened) return ofSync(opened, name, controller);
  }
  const pullable = 'an iterable, an async iterable or a readable stream (an Observable is for fromPush)';
  return refuse(`${name}: input`, pullable, opened);
}

function ofPromise<T>(
  promise: PromiseLike<Pullable<T>>,
  name: string,
  controller: AbortController,
): Opening<T> {
  const opening = Promise.resolve(promise).then((input) => pullOf(input, name, controller));
  opening.catch(() => undefined); // who waits for it is told
  const stop = (): void => abort(controller);
  return {
    opening,
    stop,
    async close() {
      stop();
      const late = await opening.catch(() => undefined);
      await late?.close();
    },
  };
}

/** An open input, by what it is asked with. `close` closes the input itself; `sync`: where pulling is synchronous. */
function pullBy<T>(
  next: Pull<T>['next'],
  close: () => PromiseLike<unknown> | undefined,
  controller: AbortController | undefined,
  sync?: Iterator<T, unknown>,
): Pull<T> {
  const stop = (): void => abort(controller);
  return {
    opening: undefined,
    sync,
    next,
    stop,
    close() {
      stop();
      const closing = close();
      return closing && closed(closing, controller);
    },
  };
}

function ofSync<T>(input: Iterable<T>, name: string, controller?: AbortController): Pull<T> {
  const iterator: Iterator<T, unknown> = input[Symbol.iterator]();
  if ((iterator as unknown) === input) readOnce(iterator, name);
  const close = (): undefined => {
    iterator.return?.();
  };
  return pullBy(() => Promise.resolve(iterator.next()), close, controller, iterator);
}

function ofAsync<T>(input: AsyncIterable<T>, name: string, controller?: AbortController): Pull<T> {
  const stream = isNodeStream(input) ? input : undefined;
  if (stream) {
    readOnce(stream, name);
    stream.on('error', () => undefined); // its iterator listens from the first pull only, and tells it then
  }
  const iterator: AsyncIterator<T, unknown> = input[Symbol.asyncIterator]();
  if (!stream && (iterator as unknown) === input) readOnce(iterator, name);
  // A foreign thenable may call back while it is asked, when nobody listens yet.
  const next = (): Promise<IteratorResult<T, unknown>> => {
    const result = iterator.next();
    return result instanceof Promise ? result : Promise.resolve(result);
  };
  const close = (): Promise<unknown> | undefined => {
    stream?.destroy(); // its iterator would wait for a pull that is pending
    return iterator.return?.();
  };
  return pullBy(next, close, controller);
}

function ofWebStream<T>(input: ReadableStream<T>, name: string, controller?: AbortController): Pull<T> {
  readOnce(input, name);
  const reader = input.getReader();
  return pullBy<T>(
    () => reader.read(),
    () => reader.cancel(),
    controller,
  );
}
