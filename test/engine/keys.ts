import { strict as assert } from 'node:assert';
import { endOf, sleep, upTo, type Scenario } from './Scenario.ts';

/** F75: hot keys. What a pool of keys has in its window is served round robin. */
export const keys: readonly Scenario[] = [
  {
    says: 'F75: a cold key in the window is served within twice its fair share, whatever waits for the hot ones',
    async check(lib) {
      const concurrency = 4;
      const workMs = 10;
      // More hot keys than workers, 30 items of each; then 20 keys with one item each.
      const hot = upTo(150).map((n) => `hot ${n % 5}`);
      const items = [...hot, ...upTo(20).map((n) => `cold ${n}`)].map((key, index) => ({ key, index }));
      const startedAt = Date.now();
      const firstAt = new Map<string, number>();
      const lastOf = new Map<string, number>();
      const work = async ({ key, index }: { key: string; index: number }): Promise<void> => {
        assert.ok(index > (lastOf.get(key) ?? -1), `${key} is out of order`);
        lastOf.set(key, index);
        if (!firstAt.has(key)) firstAt.set(key, Date.now() - startedAt);
        await sleep(workMs);
      };
      const run = lib.runFlow(
        lib
          .fromPull(items)
          .pipe(lib.poolMap(work, { concurrency, maxWaiting: items.length, by: ({ key }) => key })),
      );
      const { delivered } = await endOf(run, items.length * workMs);
      assert.equal(delivered, items.length);
      const fairMs = (firstAt.size / concurrency) * workMs;
      for (const [key, at] of firstAt) assert.ok(at <= 2 * fairMs, `${key} waits ${at} of ${2 * fairMs} ms`);
    },
    twins: [
      {
        says: 'a key that is done is first again',
        file: 'src/pool/lines.ts',
        find: 'if (this.#keys.get(key)?.length) this.#turns.push(key);',
        replace: 'if (this.#keys.get(key)?.length) this.#turns.putBack(key);',
      },
      {
        says: 'the newest of a key goes first',
        file: 'src/pool/lines.ts',
        find: 'return this.#keys.get(key)?.shift();',
        replace: 'return this.#keys.get(key)?.pop();',
      },
    ],
  },
];
