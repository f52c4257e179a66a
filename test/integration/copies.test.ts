import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type * as rxjsTypes from 'rxjs';
import { afterAll, describe, expect, test } from 'vitest';
import type * as sluiceTypes from 'sluice';

/*
 * Two copies in one tree: a package manager that could not agree with itself, a linked package, ESM beside CommonJS.
 * Each copy of the library is a bundle of its own, so that it has its own classes; RxJS stays outside.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'node_modules/.cache/sluice-copies', String(process.pid));
afterAll(() => rm(folder, { recursive: true, force: true }));

type Sluice = typeof sluiceTypes;
type Rxjs = typeof rxjsTypes;

/** A copy of the library on the copy of RxJS that is installed by this name. */
async function copy(name: string, rxjs: string): Promise<Sluice> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'operators/index.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    alias: rxjs === 'rxjs' ? {} : { rxjs },
    external: [rxjs],
  });
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}.mjs`);
  await writeFile(file, outputFiles[0]?.text ?? '');
  return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Sluice;
}

/** A copy of RxJS, as a bundle that is imported by its own name gets it. */
async function copyOfRxjs(rxjs: string): Promise<Rxjs> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, `only-${rxjs}.mjs`);
  await writeFile(file, `export * from '${rxjs}';`);
  return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Rxjs;
}

const copies = {
  first: await copy('first', 'rxjs'),
  second: await copy('second', 'rxjs'),
  'second on another RxJS': await copy('other', 'rxjs780'),
};
const natives = { 'its own': await copyOfRxjs('rxjs'), another: await copyOfRxjs('rxjs780') };
type Copy = keyof typeof copies;
const names = Object.keys(copies) as Copy[];

test('they are copies', () => {
  const [first, ...others] = [...Object.values(copies).map(({ SluiceError }) => SluiceError)];
  expect(others).not.toContain(first);
  expect(natives.another.Observable).not.toBe(natives['its own'].Observable);
});

/** Work that is done when the event loop has turned. */
const turn = <T>(value: T): Promise<T> => new Promise((resolve) => setImmediate(resolve, value));

const chains = names.flatMap((source) =>
  names.flatMap((stages) =>
    names.flatMap((run) =>
      ['its own', 'another'].map((native) => ({
        source,
        stages,
        run,
        native: native as keyof typeof natives,
      })),
    ),
  ),
);

describe.each(chains)(
  'source of the $source, stages of the $stages, run by the $run, between operators of $native RxJS',
  ({ source, stages, run, native }) => {
    const { fromPull } = copies[source];
    const { boundedQueue, poolMap, filterOr, storeTo, withRetry, withTimeout, delays } = copies[stages];
    const { runFlow } = copies[run];
    const { filter, map, mergeMap, of } = natives[native];

    test('a flow is bounded, and accounts for every item', async () => {
      let pulled = 0;
      let done = 0;
      let furthest = 0;
      const failedOnce = new Set<number>();
      const stored: number[] = [];
      function* numbers() {
        while (pulled < 60) {
          furthest = Math.max(furthest, ++pulled - done);
          yield pulled;
        }
      }
      const work = withRetry(
        withTimeout(
          async (value: number) => {
            await turn(value);
            if (value % 10 === 0 && !failedOnce.has(value)) {
              failedOnce.add(value);
              throw new Error('not yet');
            }
            return value;
          },
          { timeoutMs: 1_000 },
        ),
        delays([0]),
      );
      const report = await runFlow(
        fromPull(numbers).pipe(
          map((value) => value),
          mergeMap((value) => of(value)),
          boundedQueue({ capacity: 3 }),
          filter(() => true),
          poolMap(work, { concurrency: 2 }),
          poolMap((value) => of(value), { concurrency: 1, ordered: true, name: 'inner' }),
          map((value) => {
            done++;
            return value;
          }),
          filterOr((value) => value % 2 === 0),
          storeTo(async (items: readonly number[]) => void stored.push(...items), { maxItems: 5 }),
        ),
        { strict: true },
      );
      expect(report).toMatchObject({
        end: 'completed',
        itemsIn: 60,
        delivered: 30,
        stored: 30,
        rejected: 30,
        retried: 6,
        leftOver: 0,
        warnings: [],
      });
      expect(report.stages).toHaveLength(5);
      expect(stored.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => 2 * (i + 1)));
      expect(furthest).toBeLessThanOrEqual(3 + 2 + 1 + 1);
    });

    test('an acknowledged flow settles every item once, and drains', async () => {
      let given = 0;
      const settled: number[] = [];
      const stop = new AbortController();
      function* endless() {
        for (;;) {
          if (given === 40) stop.abort();
          yield ++given;
        }
      }
      const settle = ({ value, failure }: sluiceTypes.Settlement<number>): void => {
        settled.push(failure === undefined ? value : NaN);
      };
      const report = await runFlow(
        fromPull(endless, { onSettled: settle }).pipe(
          map((value) => value),
          poolMap(turn<number>, { concurrency: 3 }),
          filter(() => true),
          storeTo((items) => turn(items).then(() => undefined), { maxItems: 4 }),
        ),
        { strict: true, drainSignal: stop.signal },
      );
      expect(report).toMatchObject({ end: 'drained', leftOver: 0, warnings: [] });
      expect(given).toBeLessThanOrEqual(42);
      expect(settled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: given }, (_, i) => i + 1));
    });
  },
);
