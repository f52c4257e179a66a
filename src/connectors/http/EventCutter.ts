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

/** What the server says of connecting again: when, or after which event. */
export type Reconnection = { readonly retryMs: number } | { readonly lastId: string };

/** Cuts chunks into events. One that has not ended with the body is none. */
export class EventCutter implements Cutter<ServerSentEvent | Reconnection> {
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #found: (ServerSentEvent | Reconnection)[] = [];
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
      // Before the event, if there is one: an id without data counts as well.
      onId: (given) => {
        id = given;
        this.#found.push({ lastId: given });
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

  *push(chunk: Uint8Array): Generator<ServerSentEvent | Reconnection, void> {
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
