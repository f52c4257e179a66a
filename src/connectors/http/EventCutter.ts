import type { createParser, EventSourceParser } from 'eventsource-parser';
import { HttpBodyError } from '../../errors.ts';
import type { Cutter } from './streamBody.ts';
import type { PreparedRequest } from './target.ts';

/** One event of a server. */
export interface ServerSentEvent {
  /** What the server calls it. `'message'` where it says nothing. */
  readonly event: string;
  readonly data: string;
  /** The last id that the server has given, with this event or before it; `''` for none. */
  readonly id: string;
}

/** The server says when to connect again. */
export interface Retry {
  readonly retryMs: number;
}

export function isRetry(value: ServerSentEvent | Retry): value is Retry {
  return 'retryMs' in value;
}

/** Cuts chunks into events. One that has not ended with the body is none. */
export class EventCutter implements Cutter<ServerSentEvent | Retry> {
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #found: (ServerSentEvent | Retry)[] = [];
  #failure: HttpBodyError | undefined;

  /** `maxBytes`: characters of one event. */
  constructor(
    request: PreparedRequest,
    create: typeof createParser,
    { lastId, maxBytes }: { lastId: string; maxBytes: number },
  ) {
    let id = lastId;
    this.#parser = create({
      maxBufferSize: maxBytes,
      onEvent: ({ event = 'message', data, id: given = id }) => {
        id = given;
        this.#found.push({ event, data, id });
      },
      onId: (given) => {
        id = given;
      },
      onRetry: (retryMs) => {
        this.#found.push({ retryMs });
      },
      // Of what it does not know the standard says: ignore it.
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') this.#failure = new HttpBodyError(request, 'tooLarge');
      },
    });
  }

  *push(chunk: Uint8Array): Generator<ServerSentEvent | Retry, void> {
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }));
    const found = this.#found;
    this.#found = [];
    yield* found;
    if (this.#failure) throw this.#failure;
  }

  end(): Iterable<never> {
    return [];
  }
}
