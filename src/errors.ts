import { counted } from './counted.ts';

/** The code of an error of Node, of a driver or of ours. Anything may be thrown. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** What an error takes that may have no cause: none is another thing than `undefined`. */
export function causedBy(cause: unknown): ErrorOptions | undefined {
  return cause === undefined ? undefined : { cause };
}

/** Base of every error that sluice makes itself. Match on `code`, which is stable; messages may change. */
export abstract class SluiceError extends Error {
  abstract readonly code: string;
}

/** An operator, source or sink was called with an option it cannot honour. Thrown at call time, never through the stream. */
export class InvalidOptionError extends TypeError {
  override readonly name = 'InvalidOptionError';
  readonly code = 'INVALID_OPTION';
  readonly retryable = false;
}

/** A one-shot source (an iterator, a stream) was subscribed to a second time: what it gave the first time is gone. */
export class SourceUsedError extends SluiceError {
  override readonly name = 'SourceUsedError';
  readonly code = 'SOURCE_USED';
  readonly retryable = false;
  constructor(source: string) {
    super(
      `${source}: this source can be read only once and was subscribed to again; ` +
        'give a function that returns a new one each time',
    );
  }
}

/** A value that could not be made to wait found a bounded queue full, and its policy is `overflow: 'fail'`. */
export class QueueOverflowError extends SluiceError {
  override readonly name = 'QueueOverflowError';
  readonly code = 'QUEUE_OVERFLOW';
  /** Name of the stage that owns the queue. */
  readonly stage: string;
  /** Items that the queue holds when full. */
  readonly capacity: number;
  constructor(stage: string, capacity: number) {
    super(
      `${stage}: the queue is full (capacity ${counted(capacity, 'item')}) and the source above cannot wait; ` +
        "use fromPull or intake, or choose overflow: 'dropOldest' or 'dropNewest'",
    );
    this.stage = stage;
    this.capacity = capacity;
  }
}

/** An attempt, or an item, took longer than its limit and was aborted. */
export class TimeoutError extends SluiceError {
  override readonly name = 'TimeoutError';
  readonly code = 'TIMEOUT';
  readonly retryable: boolean = true;
  /** The limit that was exceeded, in milliseconds. */
  readonly timeoutMs: number;
  constructor(what: string, timeoutMs: number) {
    super(`${what}: no result within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** A circuit breaker is open, so work was not called. */
export class BreakerOpenError extends SluiceError {
  override readonly name = 'BreakerOpenError';
  readonly code = 'BREAKER_OPEN';
  readonly retryable: boolean = true;
  /** When it lets one item through to try, in milliseconds from now. */
  readonly retryAfterMs: number;
  constructor(retryAfterMs: number) {
    super(`withBreaker: the breaker is open, for ${Math.ceil(retryAfterMs)} ms more`);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Why an item was handed back: its stage was stopped, or failed, before the item had an outcome. */
export class HandedBackError extends SluiceError {
  override readonly name = 'HandedBackError';
  readonly code = 'HANDED_BACK';
  constructor(where: string, why: string, cause?: unknown) {
    super(`${where}: handed back, ${why}`, causedBy(cause));
  }
}

/** Why something is handed back, where the error may be `undefined`: that would mean "no failure". */
export function reasonOf(error: unknown): unknown {
  return error ?? new HandedBackError('sluice', 'it failed, and gave no reason');
}

/** Under `strict`: a stage received items that its demand had not asked for. */
export class OverrunError extends SluiceError {
  override readonly name = 'OverrunError';
  readonly code = 'OVERRUN';
}

/** Under `strict`: items towards a stage were held or lost by a native operator that is not declared. */
export class UnclaimedError extends SluiceError {
  override readonly name = 'UnclaimedError';
  readonly code = 'UNCLAIMED';
}

/** An acknowledged source found no stage below it: something cuts the chain, or there is no stage. */
export class TicketPathError extends SluiceError {
  override readonly name = 'TicketPathError';
  readonly code = 'TICKET_PATH';
  readonly retryable = false;
  /** `cut`: by what, with the way out where that is not `link`. */
  constructor(where: string, cut: string) {
    const wayOut =
      ' (share, connect, an operator written by hand), and no ticket of an acknowledged flow passes; use link';
    super(`${where}: ${cut}${cut.includes('; use ') ? '' : wayOut}`);
  }
}

/** An item of an acknowledged flow reached a stage outside the call that carries its ticket. */
export class TicketLostError extends SluiceError {
  override readonly name = 'TicketLostError';
  readonly code = 'TICKET_LOST';
  readonly retryable = false;
  constructor(where: string) {
    super(
      `${where}: an item of an acknowledged flow arrived outside its call: a native operator held it (delay, mergeMap of ` +
        'promises, …), or a source pushed it; use poolMap, or fromPush(source)',
    );
  }
}

/** Too many items of an acknowledged flow neither reached a stage nor were dropped by a sluice operator. */
export class TicketHeldError extends SluiceError {
  override readonly name = 'TicketHeldError';
  readonly code = 'TICKET_HELD';
  readonly retryable = false;
  /** Items that were waiting for an outcome. */
  readonly waiting: number;
  constructor(stage: string, waiting: number) {
    super(
      `${stage}: ${waiting} acknowledged items did not arrive; use filterOr or drops(operator) for a filter, poolMap for work, batch for a buffer`,
    );
    this.waiting = waiting;
  }
}

/** Under `strict`: an item of an acknowledged flow neither reached a stage nor was dropped by a sluice operator. */
export class TicketUnclaimedError extends SluiceError {
  override readonly name = 'TicketUnclaimedError';
  readonly code = 'TICKET_UNCLAIMED';
  readonly retryable = false;
}

// Testing.

/** What was given to the law suite breaks one of its laws. `expected` and `actual` are phrases. */
export class LawBrokenError extends SluiceError {
  override readonly name = 'LawBrokenError';
  readonly code = 'LAW_BROKEN';
  readonly retryable = false;
  /** Whose law, and what it says. */
  readonly law: string;
  readonly expected: string;
  readonly actual: string;
  constructor(law: string, expected: string, actual: string, cause?: unknown) {
    super(`${law}\n  expected: ${expected}\n  came:     ${actual}`, { cause });
    this.law = law;
    this.expected = expected;
    this.actual = actual;
  }
}

// Connectors: HTTP, PostgreSQL.

/** A package that is needed for one thing only is not installed. */
export class PackageMissingError extends SluiceError {
  override readonly name = 'PackageMissingError';
  readonly code = 'PACKAGE_MISSING';
  readonly retryable = false;
  /** The package, as npm knows it. */
  readonly packageName: string;
  constructor(user: string, packageName: string, cause: unknown) {
    super(`${user}: the package ${packageName} is not installed: npm install ${packageName}`, { cause });
    this.packageName = packageName;
  }
}

/** Where an HTTP attempt was: waiting for a connection, making it (name, TCP, TLS), waiting for the headers, reading the body. */
export type HttpPhase = 'acquire' | 'dns' | 'connect' | 'tls' | 'headers' | 'body';

/** What HTTP errors say of their request. The address is without credentials, query and fragment. */
export interface HttpRequestFacts {
  readonly method: string;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Origin and path, as messages show them: what must not be in a log belongs in a header or in the query. */
  readonly url: string;
}

/** Base of those that say what became of a request. */
abstract class HttpError extends SluiceError implements HttpRequestFacts {
  abstract readonly phase: HttpPhase;
  readonly method: string;
  readonly origin: string;
  readonly url: string;
  constructor(request: HttpRequestFacts, what: string, options?: ErrorOptions) {
    super(`${request.method} ${request.url}: ${what}`, options);
    this.method = request.method;
    this.origin = request.origin;
    this.url = request.url;
  }
}

/** A pool of connections was asked for one after its `close()`, or was closed while the caller was using one. */
export class ConnectionsClosedError extends SluiceError {
  override readonly name = 'ConnectionsClosedError';
  readonly code = 'CONNECTIONS_CLOSED';
  readonly retryable = false;
  constructor(owner: string) {
    super(`${owner}: closed; make a new one, or close it after the flow has ended`);
  }
}

/**
 * The server answered, and its answer is no success. Retryable: 408, 425, 429 and 503, by which a server says that it has
 * not done what was asked; any other 5xx where the request may be repeated (an idempotent method, or an
 * `idempotency-key`). Not where the server asks for a longer wait than `maxPauseMs`.
 */
export class HttpStatusError extends HttpError {
  override readonly name = 'HttpStatusError';
  readonly code = 'HTTP_STATUS';
  override readonly phase: HttpPhase = 'headers';
  readonly retryable: boolean;
  readonly status: number;
  /**
   * How long the server asks to wait, in milliseconds, from its `Retry-After`, or else, with 429, from its rate limit
   * headers. Absent if it did not, or said nonsense.
   */
  readonly retryAfterMs: number | undefined;
  /** The first 1,024 characters of the answer's body. Not enumerable: it may hold data that logs must not. */
  declare readonly detail: string;
  constructor(
    request: HttpRequestFacts,
    status: number,
    {
      retryable,
      retryAfterMs,
      detail,
    }: { retryable: boolean; retryAfterMs: number | undefined; detail: string },
  ) {
    super(request, `status ${status}`);
    this.status = status;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    Object.defineProperty(this, 'detail', { value: detail });
  }
}

/** The host has asked to be left alone for longer than `maxPauseMs`, so the request was not sent. */
export class HttpPausedError extends HttpError {
  override readonly name = 'HttpPausedError';
  readonly code = 'HTTP_PAUSED';
  override readonly phase: HttpPhase = 'acquire';
  readonly retryable = false;
  /** How long it still is to be left alone, in milliseconds. */
  readonly retryAfterMs: number;
  constructor(request: HttpRequestFacts, retryAfterMs: number, maxPauseMs: number) {
    const wait = Math.ceil(retryAfterMs);
    super(request, `not sent, the host asks for a pause of ${wait} ms more (maxPauseMs: ${maxPauseMs})`);
    this.retryAfterMs = wait;
  }
}

/**
 * A connection could not be made, or broke. Not retryable: what a new attempt cannot mend (TLS and certificates), and a
 * request that the server may have carried out and that has neither an idempotent method nor an `idempotency-key`.
 */
export class HttpConnectionError extends HttpError {
  override readonly name = 'HttpConnectionError';
  readonly code = 'HTTP_CONNECTION';
  override readonly phase: HttpPhase;
  readonly retryable: boolean;
  constructor(request: HttpRequestFacts, phase: HttpPhase, retryable: boolean, cause: unknown) {
    const code = codeOf(cause);
    const reason = code === undefined ? phase : `${phase}, ${code}`;
    super(request, `connection failed (${reason})`, { cause });
    this.phase = phase;
    this.retryable = retryable;
  }
}

/** An HTTP attempt took longer than `timeoutMs`, in `phase`. Its connection was destroyed. */
export class HttpTimeoutError extends TimeoutError implements HttpRequestFacts {
  readonly phase: HttpPhase;
  override readonly retryable: boolean;
  readonly method: string;
  readonly origin: string;
  readonly url: string;
  constructor(request: HttpRequestFacts, phase: HttpPhase, retryable: boolean, timeoutMs: number) {
    super(`${request.method} ${request.url} (${phase})`, timeoutMs);
    this.phase = phase;
    this.retryable = retryable;
    this.method = request.method;
    this.origin = request.origin;
    this.url = request.url;
  }
}

/**
 * The body of a successful answer cannot be used: `'truncated'` (it ended early), `'json'` (it is not JSON), `'charset'`
 * (it is not UTF-8, or not in the character set that it names), `'encoding'` (it cannot be decompressed), `'tooLarge'`
 * (more than `maxBodyBytes`), `'type'` (its `Content-Type` is not the one that was asked for). Only `'truncated'` is
 * retryable.
 */
export class HttpBodyError extends HttpError {
  override readonly name = 'HttpBodyError';
  readonly code = 'HTTP_BODY';
  override readonly phase: HttpPhase = 'body';
  readonly reason: 'truncated' | 'json' | 'charset' | 'encoding' | 'tooLarge' | 'type';
  readonly retryable: boolean;
  /** For `lines` and `ndjson`: the line that is at fault, from 1. */
  readonly line: number | undefined;
  constructor(
    request: HttpRequestFacts,
    reason: HttpBodyError['reason'],
    { retryable = false, line, cause }: { retryable?: boolean; line?: number; cause?: unknown } = {},
  ) {
    const what = {
      truncated: 'the body ended early',
      json: 'the body is not JSON',
      charset: 'the body is not UTF-8, nor in a character set that it names',
      encoding: 'the body cannot be decompressed',
      tooLarge: 'the body is larger than maxBodyBytes',
      type: 'the body is of another type than was asked for',
    }[reason];
    const where = line === undefined ? '' : ` (line ${line})`;
    super(request, `${what}${where}`, causedBy(cause));
    this.reason = reason;
    this.retryable = retryable;
    this.line = line;
  }
}

/** A paged source cannot go on without a gap or an endless loop; the message says why. */
export class PageError extends SluiceError {
  override readonly name = 'PageError';
  readonly code = 'PAGE';
  readonly retryable = false;
}

/** An item of a batch for an HTTP server has no JSON text. */
export class HttpItemError extends SluiceError {
  override readonly name = 'HttpItemError';
  readonly code = 'HTTP_ITEM';
  readonly retryable = false;
  constructor(cause?: unknown) {
    super('toHttp: an item cannot be written as JSON', causedBy(cause));
  }
}

/** A row cannot be sent to PostgreSQL: it is no object, its key is missing, or a value has no representation. */
export class PostgresRowError extends SluiceError {
  override readonly name = 'PostgresRowError';
  readonly code = 'POSTGRES_ROW';
  readonly retryable = false;
  /** Name of the property that is at fault; absent where the row as a whole is. */
  readonly property: string | undefined;
  constructor(table: string, property: string | undefined, fault: string, cause?: unknown) {
    const what = property === undefined ? 'a row' : `property '${property}'`;
    super(`postgresTable: ${table}: ${what} ${fault}`, causedBy(cause));
    this.property = property;
  }
}

/** A notification of PostgreSQL is not what `decode` reads (`cause`). */
export class NotificationError extends SluiceError {
  override readonly name = 'NotificationError';
  readonly code = 'NOTIFICATION';
  readonly retryable = false;
  readonly channel: string;
  /** The first 1,024 characters of what was sent. Not enumerable: it may hold data that logs must not. */
  declare readonly payload: string;
  constructor(source: string, channel: string, payload: string, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause);
    super(`${source}: channel '${channel}': a payload cannot be decoded: ${what}`, { cause });
    this.channel = channel;
    Object.defineProperty(this, 'payload', { value: payload.slice(0, 1_024) });
  }
}

/** A dead letter could not be written, and its item is handed back; or what was written cannot be read. */
export class DeadLetterError extends SluiceError {
  override readonly name = 'DeadLetterError';
  readonly code = 'DEAD_LETTER';
  readonly retryable: boolean;
  constructor(
    message: string,
    { retryable, cause }: { readonly retryable: boolean; readonly cause: unknown },
  ) {
    super(message, { cause });
    this.retryable = retryable;
  }
}

/**
 * COMMIT was answered with ROLLBACK: a statement of the transaction had failed, and its error was not passed on. Nothing
 * of it is stored.
 */
export class TransactionLostError extends SluiceError {
  override readonly name = 'TransactionLostError';
  readonly code = 'TRANSACTION_LOST';
  readonly retryable = false;
  constructor() {
    super('PostgreSQL: COMMIT rolled back, since a statement before it had failed; pass its error on');
  }
}

/** Another instance has the checkpoint. */
export class CheckpointHeldError extends SluiceError {
  override readonly name = 'CheckpointHeldError';
  readonly code = 'CHECKPOINT_HELD';
  readonly retryable = true;
  /** Who says to have it. */
  readonly holder: string;
  constructor(checkpoint: string, holder: string) {
    super(
      `checkpoint '${checkpoint}' is held by ${holder}; stop that instance, or wait until its lease ends, or ` +
        "fence it off with ifHeld: 'takeOver'",
    );
    this.holder = holder;
  }
}

/** Another instance has taken the checkpoint over: nothing that this one writes is accepted any more. */
export class CheckpointLostError extends SluiceError {
  override readonly name = 'CheckpointLostError';
  readonly code = 'CHECKPOINT_LOST';
  readonly retryable = false;
  constructor(checkpoint: string) {
    super(`checkpoint '${checkpoint}' was taken over by another instance; this one can write no more`);
  }
}

/** Opened again, the input of a checkpoint gives other items than before: those that are done cannot be told from others. */
export class CheckpointMismatchError extends SluiceError {
  override readonly name = 'CheckpointMismatchError';
  readonly code = 'CHECKPOINT_MISMATCH';
  readonly retryable = false;
  /** The item, counted from 0, that is another one than it was. */
  readonly position: number;
  constructor(source: string, position: number) {
    super(
      `${source}: item ${position} is another one than in the run before; the input must give the same again`,
    );
    this.position = position;
  }
}

// Connectors: threads.

/** A call was made of worker threads after their `close()`, or they were closed while it ran. */
export class WorkersClosedError extends SluiceError {
  override readonly name = 'WorkersClosedError';
  readonly code = 'WORKERS_CLOSED';
  readonly retryable = false;
  constructor() {
    super('WorkerThreads: closed; make new ones, or close them after the flow has ended');
  }
}

/**
 * The thread that worked on an item died: it exited (`exitCode`), ran out of memory, threw where nobody caught it (`cause`),
 * or could not be started. Another one takes its place. Retryable: another attempt may succeed.
 */
export class WorkerCrashedError extends SluiceError {
  override readonly name = 'WorkerCrashedError';
  readonly code = 'WORKER_CRASHED';
  readonly reason: 'exit' | 'memory' | 'uncaught' | 'start';
  readonly exitCode: number | undefined;
  constructor(reason: WorkerCrashedError['reason'], cause: unknown, exitCode?: number) {
    const what = {
      exit: `it exited with code ${exitCode ?? 0}`,
      memory: 'it ran out of memory (worker.resourceLimits)',
      uncaught: 'something was thrown in it that nobody caught',
      start: 'it could not be started',
    }[reason];
    super(`WorkerThreads: the thread died: ${what}`, causedBy(cause));
    this.reason = reason;
    this.exitCode = exitCode;
  }
}

/** The module of a worker cannot be loaded (`cause`), or has no function of that name. */
export class WorkerModuleError extends SluiceError {
  override readonly name = 'WorkerModuleError';
  readonly code = 'WORKER_MODULE';
  readonly retryable = false;
  constructor(what: string, cause: unknown) {
    super(`WorkerThreads: ${what}`, causedBy(cause));
  }
}

/** A value or a result cannot be copied to another thread: it holds a function, say, or a buffer that was moved before. */
export class WorkerDataError extends SluiceError {
  override readonly name = 'WorkerDataError';
  readonly code = 'WORKER_DATA';
  readonly retryable = false;
  constructor(cause: unknown) {
    super('WorkerThreads: a value or result cannot be copied to another thread, or was moved to one before', {
      cause,
    });
  }
}

/** `use` of `withResources` was called when the resources of its scope had been closed: what it was given is closed as well. */
export class ScopeEndedError extends SluiceError {
  override readonly name = 'ScopeEndedError';
  readonly code = 'SCOPE_ENDED';
  readonly retryable = false;
  constructor() {
    super(
      'withResources: use: the scope has ended, so the resource is closed at once; open what it needs inside `open`',
    );
  }
}

/** A marble picture that cannot be read: the message names the row and the column. */
export class PictureError extends SluiceError {
  override readonly name = 'PictureError';
  readonly code = 'PICTURE';
  readonly retryable = false;
}

/** A flow that did not do what its picture says: the message has both as rows, and marks where they differ. */
export class MarblesError extends SluiceError {
  override readonly name = 'MarblesError';
  readonly code = 'MARBLES';
  readonly retryable = false;
}

// Files.

/** One record of a file cannot be read. Never holds the record itself. */
export class FileRecordError extends SluiceError {
  override readonly name = 'FileRecordError';
  readonly code = 'FILE_RECORD';
  readonly retryable = false;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** The one at fault, where one is. */
  readonly field: string | undefined;
  /** What is wrong with it, as a predicate: `is not JSON`. */
  readonly what: string;
  constructor(file: string, line: number, what: string, field?: string) {
    super(`${file}:${line}: ${field === undefined ? what : `field '${field}' ${what}`}`);
    this.what = what;
    this.file = file;
    this.line = line;
    this.field = field;
  }
}

/** A file is not what its name, or its checkpoint, says: cut short, damaged, or of another kind. */
export class FileBrokenError extends SluiceError {
  override readonly name = 'FileBrokenError';
  readonly code = 'FILE_BROKEN';
  readonly retryable = false;
  readonly file: string;
  constructor(file: string, what: string, cause?: unknown) {
    super(`${file}: ${what}`, causedBy(cause));
    this.file = file;
  }
}

/** An item cannot be written to a file: it has no JSON, or no such field. Never holds the item itself. */
export class FileValueError extends SluiceError {
  override readonly name = 'FileValueError';
  readonly code = 'FILE_VALUE';
  readonly retryable = false;
  constructor(sink: string, what: string) {
    super(`${sink}: ${what}`);
  }
}

/** A checkpoint cannot be used: it is damaged, of another version, or of another source. Nothing was read. */
export class CheckpointError extends SluiceError {
  override readonly name = 'CheckpointError';
  readonly code = 'CHECKPOINT';
  readonly retryable = false;
  /** The file, or whatever holds it. */
  readonly checkpoint: string;
  constructor(checkpoint: string, what: string) {
    super(`${checkpoint}: ${what}`);
    this.checkpoint = checkpoint;
  }
}
