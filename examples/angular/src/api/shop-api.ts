import type { IncomingMessage, ServerResponse } from 'node:http';
import { linesOf, orderOf, ORDERS } from './shop';

/** What the API has seen since it was last reset. */
export interface Traffic {
  readonly inFlight: number;
  /** The most requests that were in flight at once. */
  readonly peak: number;
  readonly started: number;
  /** Requests whose client left before the answer. */
  readonly aborted: number;
  /** How often each order was handed out. */
  readonly handedOut: Readonly<Record<number, number>>;
}

/**
 * The shop's API, with moods: it answers late; every ninth order is refused once with a 503; every fortieth is refused
 * three times, once more than the desk tries.
 *
 *     GET  /api/orders/7           an order
 *     GET  /api/orders/7/lines/1   a line of it
 *     GET  /api/traffic            what the API has seen
 *     POST /api/reset?delayMs=80   forgets that, and sets how long an answer takes
 *     POST /api/release            answers what waits for its answer, now
 */
export class ShopApi {
  #delayMs = 80;
  #inFlight = 0;
  #peak = 0;
  #started = 0;
  #aborted = 0;
  #handedOut: Record<number, number> = {};
  #refusals = new Map<number, number>();
  readonly #waiting = new Set<() => void>();

  /** Answers a request to `/api`; false: it is for somebody else. */
  handles(request: IncomingMessage, response: ServerResponse): boolean {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    if (!pathname.startsWith('/api/')) return false;
    const [, what, id, lines, line] = pathname.split('/').slice(1);
    if (what === 'orders')
      this.#count(response, () => this.#order(response, Number(id), lines && Number(line)));
    else if (what === 'traffic') send(response, 200, this.#traffic());
    else if (what === 'reset' && request.method === 'POST') {
      this.#reset(Number(searchParams.get('delayMs') ?? 80));
      send(response, 200, {});
    } else if (what === 'release' && request.method === 'POST') {
      for (const answer of [...this.#waiting]) answer();
      send(response, 200, {});
    } else send(response, 404, { error: 'nothing here' });
    return true;
  }

  /** Has `answer` called after the delay, and counts the request until it is over. */
  #count(response: ServerResponse, answer: () => void): void {
    this.#started++;
    this.#peak = Math.max(this.#peak, ++this.#inFlight);
    const now = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(now);
      answer();
    };
    const timer = setTimeout(now, this.#delayMs);
    this.#waiting.add(now);
    response.once('close', () => {
      clearTimeout(timer);
      this.#waiting.delete(now);
      this.#inFlight--;
      if (!response.writableFinished) this.#aborted++;
    });
  }

  #order(response: ServerResponse, id: number, line: number | '' | undefined): void {
    if (!Number.isInteger(id) || id < 1 || id > ORDERS) {
      send(response, 404, { error: 'no such order' });
    } else if (typeof line === 'number') {
      const found = linesOf(id)[line - 1];
      if (found) send(response, 200, found);
      else send(response, 404, { error: 'no such line' });
    } else if (this.#refuses(id)) {
      send(response, 503, { error: 'busy' });
    } else {
      this.#handedOut[id] = (this.#handedOut[id] ?? 0) + 1;
      send(response, 200, orderOf(id));
    }
  }

  #refuses(id: number): boolean {
    const refused = this.#refusals.get(id) ?? 0;
    const most = id % 40 === 0 ? 3 : id % 9 === 0 ? 1 : 0;
    if (refused >= most) return false;
    this.#refusals.set(id, refused + 1);
    return true;
  }

  #traffic(): Traffic {
    return {
      inFlight: this.#inFlight,
      peak: this.#peak,
      started: this.#started,
      aborted: this.#aborted,
      handedOut: this.#handedOut,
    };
  }

  #reset(delayMs: number): void {
    this.#delayMs = delayMs;
    this.#peak = this.#inFlight;
    this.#started = 0;
    this.#aborted = 0;
    this.#handedOut = {};
    this.#refusals = new Map();
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'max-age=0' });
  response.end(JSON.stringify(body));
}
