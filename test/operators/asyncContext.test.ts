import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { mergeMap, timer, throwError, type ObservableInput } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  adaptive,
  Concurrency,
  filterOr,
  fromPull,
  poolMap,
  runFlow,
  storeTo,
  withBreaker,
  type FlowReport,
} from 'sluice';
import { Breaker } from '../../src/work/Breaker.ts';
import { following } from '../../src/work/Concurrency.ts';

const request = new AsyncLocalStorage<number>();
/** Nobody's flow has this number. */
const STRANGER = -1;
const FLOWS = 30;

/** Calls of work, each with the number of the flow that it is for and of the one in whose context it was called. */
class Calls {
  readonly #calls: { readonly of: number; readonly as: number | undefined }[] = [];

  note(of: number): void {
    this.#calls.push({ of, as: request.getStore() });
  }

  get count(): number {
    return this.#calls.length;
  }

  get strange(): unknown[] {
    return this.#calls.filter((call) => call.of !== call.as);
  }
}

/** So many flows at once, each in a context of its own. */
function flows(flow: (id: number) => PromiseLike<FlowReport>): Promise<FlowReport[]> {
  return Promise.all(Array.from({ length: FLOWS }, (_, id) => request.run(id, () => flow(id))));
}

/** Calls `act` every millisecond, as somebody who belongs to none of the flows, until they are over. */
async function whileStrangerActs<R>(act: (turn: number) => void, flows: Promise<R>): Promise<R> {
  let turn = 0;
  const timer = request.run(STRANGER, () => setInterval(() => act(turn++), 1));
  try {
    return await flows;
  } finally {
    clearInterval(timer);
  }
}

describe('the async context of work', () => {
  /** Fails now and then, so that the breaker opens. */
  const failing: Record<string, (calls: Calls) => (id: number) => ObservableInput<number>> = {
    'a promise': (calls) => async (id) => {
      calls.note(id);
      await sleep(1);
      if (calls.count % 7 === 3) throw new Error('down');
      return id;
    },
    'an Observable': (calls) => (id) => {
      calls.note(id);
      return timer(1).pipe(
        mergeMap(() => (calls.count % 7 === 3 ? throwError(() => new Error('down')) : [id])),
      );
    },
    'an async iterable': (calls) =>
      async function* (id) {
        calls.note(id);
        await sleep(1);
        calls.note(id);
        if (calls.count % 7 < 2) throw new Error('down');
        yield id;
      },
  };

  for (const [result, make] of Object.entries(failing)) {
    it(`is that of its own flow where it waited for a breaker that many share: ${result}`, async () => {
      const calls = new Calls();
      const work = withBreaker(make(calls), { maxFailures: 1, openMs: 2 });
      await flows((id) =>
        runFlow(fromPull(Array(6).fill(id)).pipe(poolMap(work, { concurrency: 2, onFailure: 'drop' }))),
      );
      expect(calls.count).toBeGreaterThanOrEqual(6 * FLOWS);
      expect(calls.strange).toEqual([]);
    });
  }

  it('is that of its own flow where somebody else has raised the limit', async () => {
    const workers = new Concurrency(1);
    const calls = new Calls();
    const work = async (id: number): Promise<number> => {
      calls.note(id);
      await sleep(2);
      return id;
    };
    const stored = async ([id = STRANGER]: readonly number[]): Promise<void> => {
      await work(id);
    };
    await whileStrangerActs(
      (turn) => workers.set(1 + (turn % 5)),
      flows((id) =>
        runFlow(
          fromPull(Array(6).fill(id)).pipe(
            poolMap(work, { concurrency: workers, maxWaiting: 2 }),
            filterOr(async (of) => (await work(of)) === of, { concurrency: workers }),
            storeTo(stored, { maxItems: 1, concurrency: workers }),
          ),
        ),
      ),
    );
    expect(calls.count).toBe(3 * 6 * FLOWS);
    expect(calls.strange).toEqual([]);
  });

  it('is that of its own flow where the work of another has taught adaptive that more can be done', async () => {
    const workers = adaptive({ min: 1, max: 20 });
    const calls = new Calls();
    const work = async (id: number): Promise<void> => {
      calls.note(id);
      await sleep(2);
    };
    await flows((id) => runFlow(fromPull(Array(30).fill(id)).pipe(poolMap(work, { concurrency: workers }))));
    expect(workers.limit).toBeGreaterThan(1);
    expect(calls.strange).toEqual([]);
  });
});

describe('the line of a breaker', () => {
  /** Open, with three in the line; what comes in is noted. */
  const line = () => {
    const breaker = new Breaker(1, 1);
    const passes = new Map<string, number>();
    breaker.failed(breaker.enter()!);
    const leave = ['a', 'b', 'c'].map((name) => breaker.wait((pass) => passes.set(name, pass)));
    return { breaker, passes, leave };
  };
  const came = async (passes: Map<string, number>, name: string): Promise<number> => {
    await expect.poll(() => passes.has(name)).toBe(true);
    return passes.get(name)!;
  };

  it('goes on before who comes later, though those in it come a moment after it is closed', async () => {
    const { breaker, passes } = line();
    breaker.succeeded(await came(passes, 'a'));
    expect([...passes.keys()]).toEqual(['a']);
    expect(breaker.enter()).toBeUndefined();
    breaker.wait((pass) => passes.set('d', pass));
    await came(passes, 'd');
    expect([...passes.keys()]).toEqual(['a', 'b', 'c', 'd']);
    expect(breaker.enter()).toBeDefined();
  });

  it('goes on where the one that was called has left', async () => {
    const { breaker, passes, leave } = line();
    breaker.succeeded(await came(passes, 'a'));
    leave[1]!();
    await came(passes, 'c');
    expect([...passes.keys()]).toEqual(['a', 'c']);
  });

  it('keeps the place of the one that was called where it has opened again meanwhile', async () => {
    const { breaker, passes } = line();
    const pass = await came(passes, 'a');
    breaker.succeeded(pass);
    breaker.failed(pass);
    await Promise.resolve();
    expect([...passes.keys()]).toEqual(['a']);
    breaker.succeeded(await came(passes, 'b'));
    await came(passes, 'c');
    expect([...passes.keys()]).toEqual(['a', 'b', 'c']);
  });
});

describe('a pool that follows a limit', () => {
  it('has the last limit, and is lowered at once', async () => {
    const workers = new Concurrency(4);
    const sizes: number[] = [];
    const leave = following(workers, { resize: (size) => sizes.push(size) });
    workers.set(2);
    expect(sizes).toEqual([2]);
    workers.set(5);
    workers.set(3);
    expect(sizes).toEqual([2]);
    await Promise.resolve();
    expect(sizes).toEqual([2, 3]);
    workers.set(9);
    workers.set(1);
    expect(sizes).toEqual([2, 3, 1]);
    await Promise.resolve();
    workers.set(8);
    leave();
    await Promise.resolve();
    expect(sizes.slice(3)).not.toContain(8);
    expect(sizes.slice(3).every((size) => size === 1)).toBe(true);
  });
});
