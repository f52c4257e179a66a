import dns from 'node:dns';
import type { Socket } from 'node:net';
import { afterAll, describe, expect, test, vi } from 'vitest';
import {
  budgeted,
  delays,
  exponential,
  fromPull,
  poolMap,
  rateLimit,
  runFlow,
  withRetry,
  type DeadLetter,
  type RetryPolicy,
} from 'sluice';
import * as sound from 'sluice/http';
import { startRawServer } from '../integration/servers/rawServer.ts';
import { removeMutants, type Sabotage } from '../support/mutant.ts';
import { head, mustFail, ok, pathOf, sleep, twin, type Http } from './http/twin.ts';
import { inVirtualTime } from './http/virtualTime.ts';
import { deferred } from '../support/deferred.ts';

afterAll(removeMutants);

const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id);
const tooMany = (...headers: string[]): string =>
  head('429 Too Many Requests', 'content-length: 0', ...headers);

const heedsNoPause: Sabotage = {
  file: 'src/connectors/http/Pace.ts',
  find: 'if (until <= this.#askedUntil) return;',
  replace: 'return;',
};

describe('F34: a host asks to be left alone', () => {
  const inFlight = 10;

  /**
   * A host that holds the first ten requests until all are there; then it answers one of them with 429 and these headers,
   * and the others when `letGo` is called. So every request that comes later was sent after the 429.
   */
  async function hostSaying(headers: () => string[]) {
    const held: Socket[] = [];
    let tell: (at: number) => void;
    const told = new Promise<number>((resolve) => (tell = resolve));
    const later: number[] = [];
    let open = false;
    const server = await startRawServer((socket) => {
      if (later.length > 0 || held.length === inFlight) later.push(performance.now());
      if (open || later.length > 0) return void socket.write(ok('fine'));
      held.push(socket);
      if (held.length === inFlight) {
        socket.write(tooMany(...headers()));
        tell(performance.now());
      }
      return undefined;
    });
    const letGo = (): void => {
      open = true;
      for (const socket of held.slice(0, -1)) socket.write(ok('fine'));
    };
    return { server, told, later, letGo };
  }

  /** Dates are whole seconds. */
  const inTwoSeconds = (): string => new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 2_000).toUTCString();
  const says: [what: string, headers: () => string[], atLeastMs: number][] = [
    ['Retry-After: 3', () => ['retry-after: 3'], 3_000],
    [
      'Retry-After: a date, of a clock that is an hour ahead',
      () => {
        const ahead = (ms: number): string => new Date(Date.now() + 3_600_000 + ms).toUTCString();
        return [`date: ${ahead(0)}`, `retry-after: ${ahead(2_000)}`];
      },
      2_000,
    ],
    ['Retry-After: a date, and no clock', () => [`retry-after: ${inTwoSeconds()}`], 2_000],
    ['Retry-After: garbage, so pauseMs', () => ['retry-after: soon'], 1_500],
    ['RateLimit of the draft', () => ['ratelimit: "a";r=0;t=2, "b";r=9;t=60'], 2_000],
    ['X-RateLimit-Reset', () => ['x-ratelimit-remaining: 0', 'x-ratelimit-reset: 2'], 2_000],
  ];

  async function check(lib: Http, [, headers, atLeastMs]: (typeof says)[number]): Promise<void> {
    const host = await hostSaying(headers);
    await using server = host.server;
    let elsewhere = 0;
    await using other = await startRawServer((socket) => {
      elsewhere += 1;
      socket.write(ok('fine'));
    });
    const pauses: sound.HttpPause[] = [];
    await using http = new lib.HttpConnections({
      maxPerHost: 20,
      pauseMs: 1_500,
      onPause: (pause) => pauses.push(pause),
    });
    const work = withRetry(
      http.text((url: string) => url),
      delays([1, 1, 1]),
    );
    const run = runFlow(
      fromPull(ids(40).map(() => server.origin)).pipe(poolMap(work, { concurrency: inFlight })),
    );
    const told = await host.told;
    setTimeout(host.letGo, 500);
    // Of the others, nobody waits.
    await runFlow(fromPull(ids(5).map(() => other.origin)).pipe(poolMap(work, { concurrency: 1 })));
    const otherMs = performance.now() - told;
    const { delivered, dead } = await run;
    expect({ delivered, dead, later: host.later.length, elsewhere }).toEqual({
      delivered: 40,
      dead: 0,
      later: 31,
      elsewhere: 5,
    });
    const waitedMs = Math.min(...host.later) - told;
    expect(waitedMs).toBeGreaterThanOrEqual(atLeastMs);
    // A tenth of jitter, and what is missing to a whole second.
    expect(waitedMs).toBeLessThanOrEqual(atLeastMs * 1.1 + 1_000);
    expect(otherMs).toBeLessThan(atLeastMs);
    expect(pauses[0]).toMatchObject({ origin: server.origin, status: 429 });
  }

  test.each(says)('%s: nothing is sent to it earlier, nothing is lost, and no other host waits', (...said) =>
    inVirtualTime(() => check(sound, said)),
  );
  test('twin: nobody heeds the pause', async () => {
    const lib = await twin(heedsNoPause);
    await mustFail(inVirtualTime(() => check(lib, says[0]!)));
  });

  test('onPause that throws or rejects is a warning, and the answer is given all the same', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const onPauses: (() => unknown)[] = [
      () => {
        throw new Error('thrown');
      },
      () => Promise.reject(new Error('rejected')),
    ];
    await using server = await startRawServer((socket) => {
      socket.write(
        'HTTP/1.1 200 OK\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1\r\ncontent-length: 4\r\n\r\nfine',
      );
    });
    for (const onPause of onPauses) {
      await using http = new sound.HttpConnections({ onPause });
      expect(await http.text(() => server.origin)(0)).toBe('fine');
    }
    expect(warned.mock.calls).toEqual([
      ['[sluice] HttpConnections: onPause failed: thrown'],
      ['[sluice] HttpConnections: onPause failed: rejected'],
    ]);
    warned.mockRestore();
  });

  test('Retry-After: 0 is no pause', async () => {
    const host = await hostSaying(() => ['retry-after: 0']);
    await using server = host.server;
    await using http = new sound.HttpConnections({ pauseMs: 60_000 });
    const work = withRetry(
      http.text(() => server.origin),
      delays([1]),
    );
    const run = runFlow(fromPull(ids(20)).pipe(poolMap(work, { concurrency: inFlight })));
    await host.told;
    await expect.poll(() => host.later.length, { timeout: 20_000 }).toBeGreaterThan(0);
    host.letGo();
    expect(await run).toMatchObject({ delivered: 20, dead: 0 });
  });

  describe('for longer than maxPauseMs', () => {
    async function checkCap(lib: Http): Promise<void> {
      const host = await hostSaying(() => ['retry-after: 120']);
      await using server = host.server;
      await using http = new lib.HttpConnections({ maxPerHost: 20, closeTimeoutMs: 0 });
      const dead: DeadLetter<unknown>[] = [];
      const work = withRetry(
        http.text(() => server.origin),
        delays([1, 1, 1]),
      );
      const run = runFlow(
        fromPull(ids(40)).pipe(
          poolMap(work, { concurrency: inFlight, onFailure: (letter) => dead.push(letter) }),
        ),
      );
      await host.told;
      setTimeout(host.letGo, 500);
      const waits = setTimeout(() => void run.abort(), 5_000);
      const report = await run;
      clearTimeout(waits);
      expect(report).toMatchObject({ end: 'completed', delivered: 9, dead: 31, leftOver: 0 });
      expect(host.later).toEqual([]);
      const codes = dead.map(({ error, attempts }) => [(error as { code: string }).code, attempts]);
      expect(codes.filter(([code]) => code === 'HTTP_STATUS')).toEqual([['HTTP_STATUS', 1]]);
      expect(codes.filter(([code]) => code === 'HTTP_PAUSED')).toHaveLength(30);
      const { retryAfterMs } = dead[1]!.error as sound.HttpPausedError;
      expect(retryAfterMs).toBeGreaterThan(100_000);
      expect(retryAfterMs).toBeLessThanOrEqual(120_000);
    }

    test('they are dead letters at once, and nothing is sent', () => inVirtualTime(() => checkCap(sound)));
    test('twin: the cap is not looked at', async () => {
      const noCap = {
        file: 'src/connectors/http/sockets.ts',
        find: 'if (askedMs <= maxPauseMs) return;',
        replace: 'return;',
      };
      const lib = await twin(noCap);
      await mustFail(inVirtualTime(() => checkCap(lib)));
    });

    test('with maxPauseMs: Infinity they wait, longer than timeoutMs, and can be withdrawn', () =>
      inVirtualTime(async () => {
        const host = await hostSaying(() => ['retry-after: 120']);
        await using server = host.server;
        await using http = new sound.HttpConnections({
          maxPauseMs: Infinity,
          timeoutMs: 1_000,
          closeTimeoutMs: 0,
        });
        let failed = 0;
        const work = withRetry(
          http.text(() => server.origin),
          delays([1, 1, 1]),
        );
        const run = runFlow(
          fromPull(ids(40)).pipe(poolMap(work, { concurrency: inFlight, onFailure: () => (failed += 1) })),
        );
        await host.told;
        host.letGo();
        await sleep(2_500);
        expect(http.stats).toMatchObject({ busy: 0, waiting: 9 });
        expect([host.later, failed]).toEqual([[], 0]);
        expect(await run.abort()).toMatchObject({ end: 'aborted', leftOver: 10 });
        expect(http.stats).toMatchObject({ busy: 0, waiting: 0 });
      }));
  });

  describe('a connection that is being made when the host asks', () => {
    async function check(lib: Http): Promise<void> {
      const [lookedUp, answered] = [deferred(), deferred()];
      let told = Infinity;
      const later: number[] = [];
      await using server = await startRawServer((socket, request) => {
        if (pathOf(request) === '/second') {
          later.push(performance.now() - told);
          socket.write(ok('fine'));
        } else {
          // When the name of the second one is being looked up.
          void lookedUp.promise.then(() => {
            socket.write(tooMany('retry-after: 1'));
            told = performance.now();
          });
        }
      });
      let lookups = 0;
      const names = vi.spyOn(dns, 'lookup').mockImplementation((_name: string, ...rest: unknown[]) => {
        const found = rest.at(-1) as (error: null, addresses: object[]) => void;
        const first = lookups++ === 0;
        if (!first) lookedUp.resolve();
        // And it is found when the first one has its answer.
        void (first ? Promise.resolve() : answered.promise).then(() =>
          setTimeout(() => found(null, [{ address: '127.0.0.1', family: 4 }]), 0),
        );
      });
      try {
        await using http = new lib.HttpConnections();
        const get = http.text((path: string) => `http://slow.example:${server.port}${path}`);
        const first = get('/first')
          .catch((error: unknown) => error)
          .finally(answered.resolve);
        const second = get('/second');
        expect([await first, await second]).toMatchObject([{ status: 429 }, 'fine']);
        expect(Math.min(...later)).toBeGreaterThanOrEqual(1_000);
        expect([lookups >= 2, later.length]).toEqual([true, 1]);
      } finally {
        names.mockRestore();
      }
    }

    // In real time: of a look-up that waits, nobody could tell that it does.
    test('its request is not sent before', () => check(sound));
    test('twin: it is sent as soon as there is a connection', async () => {
      const hasty = {
        file: 'src/connectors/http/sockets.ts',
        find: 'isHeld: () => this.isHeld(name),',
        replace: 'isHeld: () => false,',
      };
      await mustFail(check(await twin(hasty)));
    });
  });

  describe('a storm of 503', () => {
    async function check(lib: Http): Promise<void> {
      /** When it is over, and until when it has asked everybody to stay away. */
      const over = performance.now() + 2_500;
      let away = -Infinity;
      let early = 0;
      await using server = await startRawServer((socket) => {
        const at = performance.now();
        // What came within 200 ms of such an answer was on its way before, and is served later on.
        if (at < away - 800) return void setTimeout(() => socket.write(ok('fine')), 300);
        if (at < away) early += 1;
        if (at > over) return void socket.write(ok('fine'));
        away = at + 1_000;
        return void socket.write(head('503 Busy', 'content-length: 0', 'retry-after: 1'));
      });
      await using http = new lib.HttpConnections();
      const work = withRetry(
        http.text(() => server.origin),
        delays(ids(20).map(() => 10)),
      );
      const flow = fromPull(ids(50)).pipe(poolMap(work, { concurrency: 5 }));
      expect(await runFlow(flow)).toMatchObject({ delivered: 50, dead: 0 });
      expect(early).toBe(0);
    }

    test('the host is left alone after each, and all is delivered', () => inVirtualTime(() => check(sound)));
    test('twin: nobody heeds the pause', async () => {
      const lib = await twin(heedsNoPause);
      await mustFail(inVirtualTime(() => check(lib)));
    });
  });

  describe('a quota of 10 a second that the host counts', () => {
    async function check(lib: Http): Promise<void> {
      let [windowEnds, counted, refused] = [-Infinity, 0, 0];
      await using server = await startRawServer((socket) => {
        const at = performance.now();
        if (at >= windowEnds) [windowEnds, counted] = [at + 1_000, 0];
        counted += 1;
        const headers = [
          'ratelimit-limit: 10',
          `ratelimit-remaining: ${Math.max(0, 10 - counted)}`,
          `ratelimit-reset: ${Math.ceil((windowEnds - at) / 1_000)}`,
        ];
        const refuse = counted > 10;
        if (refuse) refused += 1;
        // Answers overtake each other.
        const answer = refuse ? tooMany(...headers) : head('200 OK', 'content-length: 0', ...headers);
        setTimeout(() => socket.write(answer), (counted % 3) * 10);
      });
      await using http = new lib.HttpConnections({ random: () => 0 });
      const work = withRetry(
        http.text(() => server.origin),
        delays([1, 1, 1]),
      );
      const flow = fromPull(ids(45)).pipe(poolMap(work, { concurrency: 8 }));
      expect(await runFlow(flow)).toMatchObject({ delivered: 45, dead: 0 });
      expect(refused).toBe(0);
    }

    test('it is used, and no request is refused', () => inVirtualTime(() => check(sound)));
    test('twin: requests on their way are not counted', async () => {
      const blind = {
        file: 'src/connectors/http/Pace.ts',
        find: 'remaining <= unanswered',
        replace: 'remaining < 0',
      };
      const lib = await twin(blind);
      await mustFail(inVirtualTime(() => check(lib)));
    });
  });
});

describe('F35: for a minute, a fifth of the answers are 5xx; and now and then, all that is under way fails at once', () => {
  const perSecond = 200;
  /** After so many requests the server stops for half a second, and then fails all that have come meanwhile. */
  const stallEvery = 1_300;
  type Found = { readonly share: number; readonly wave: number };

  /** Chance that is the same each time. */
  function seeded(seed: number): () => number {
    let last = seed;
    return () => (last = (last * 48_271) % 2_147_483_647) / 2_147_483_647;
  }

  async function measure(policy: RetryPolicy, count: number): Promise<Found> {
    const random = seeded(7);
    const arrivals: number[] = [];
    const held: Socket[] = [];
    let holding = false;
    const failed = head('500 Internal Server Error', 'content-length: 0');
    const stall = (): void => {
      holding = true;
      setTimeout(() => {
        holding = false;
        for (const socket of held.splice(0)) socket.write(failed);
      }, 500);
    };
    await using server = await startRawServer((socket, request) => {
      arrivals.push(performance.now());
      if (arrivals.length % stallEvery === 0) stall();
      if (holding) held.push(socket);
      else socket.write(random() < 0.2 ? failed : ok(pathOf(request)));
    });
    await using http = new sound.HttpConnections({ maxConnections: 400, maxPerHost: 400 });
    const work = withRetry(
      http.text((id: number) => `${server.origin}/${id}`),
      policy,
    );
    const flow = fromPull(ids(count)).pipe(
      rateLimit({ limit: perSecond, perMs: 1_000 }),
      poolMap(work, { concurrency: 400, onFailure: () => undefined }),
    );
    const { delivered, dead } = await runFlow(flow);
    expect(delivered + dead).toBe(count);
    const start = arrivals[0]!;
    const buckets: number[] = [];
    for (const at of arrivals) {
      const bucket = Math.floor((at - start) / 100);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    // The flow at work, without the retries of its last items.
    const steady = Array.from(buckets, (requests) => requests ?? 0).slice(0, (count / perSecond) * 10);
    const mean = steady.reduce((sum, requests) => sum + requests, 0) / steady.length;
    return { share: arrivals.length / count, wave: Math.max(...steady) / mean };
  }

  const attempts = (policy: RetryPolicy, seconds: number): Promise<Found> =>
    inVirtualTime(() => measure(policy, seconds * perSecond));
  const jittered = exponential({ initialMs: 1_000, maxRetries: 3, random: seeded(11) });
  const unjittered = delays([500, 500]);

  test('a budget bounds the attempts, and jitter leaves no waves', async () => {
    const { share, wave } = await attempts(budgeted(jittered, { maxExtraShare: 0.25 }), 60);
    expect(share).toBeLessThanOrEqual(1.3);
    expect(wave).toBeLessThanOrEqual(2);
    console.log(
      `F35: ${share.toFixed(2)} attempts an item, the largest wave ${wave.toFixed(2)} times the mean`,
    );
  });

  test('twin: no budget', async () => {
    const { share } = await attempts(jittered, 15);
    expect(share).toBeGreaterThan(1.3);
  });
  test('twin: no jitter', async () => {
    const { wave } = await attempts(budgeted(unjittered, { maxExtraShare: 0.25, maxSaved: 300 }), 15);
    expect(wave).toBeGreaterThan(2);
  });
});
