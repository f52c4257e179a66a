import { EMPTY, NEVER } from 'rxjs';
import { describe, expect, it, test } from 'vitest';
import { fromPull, intake, InvalidOptionError, mergePriority, poolMap, runFlow } from 'sluice';
import { operatorLaws } from '../../src/testing/laws/index.ts';

describe('mergePriority obeys the laws of operators, whichever source it is', () => {
  const first = operatorLaws('first', () => (source) => mergePriority(source, EMPTY), { limit: 1 });
  const last = operatorLaws('last', () => (source) => mergePriority(EMPTY, source), { limit: 1 });
  for (const law of [...first, ...last]) test(law.name, law.check);
});

describe('mergePriority', () => {
  it('gives all of an urgent source first, however much of it there is at once', async () => {
    const out: number[] = [];
    const work = async (value: number): Promise<void> => {
      out.push(value);
    };
    const flow = mergePriority(fromPull([1, 2, 3]), fromPull([10, 20]), fromPull([100, 200]));
    await runFlow(flow.pipe(poolMap(work, { concurrency: 1 })));
    expect(out).toEqual([1, 2, 3, 10, 20, 100, 200]);
  });

  it('lets one that comes later overtake what waits, and settles each with its source', async () => {
    const out: string[] = [];
    const told: string[] = [];
    const urgent = intake<string>({ capacity: 9 });
    const low = fromPull(['a', 'b', 'c', 'd'], {
      onSettled: ({ value, failure }) => told.push(`${value} ${failure === undefined ? 'done' : 'back'}`),
    });
    const work = async (value: string): Promise<void> => {
      out.push(value);
      if (value === 'b') {
        await urgent.offer('A');
        urgent.end();
      }
    };
    await runFlow(mergePriority(urgent.items$, low).pipe(poolMap(work, { concurrency: 1 })));
    expect(out).toEqual(['a', 'b', 'A', 'c', 'd']);
    expect(told).toEqual(['a done', 'b done', 'c done', 'd done']);
  });

  it('hands back what it holds when one of its sources fails below it', async () => {
    const told: string[] = [];
    const low = fromPull(['a', 'b', 'c'], {
      onSettled: ({ value, failure }) => told.push(`${value} ${failure === undefined ? 'done' : 'back'}`),
    });
    const work = (): Promise<never> => Promise.reject(new Error('work'));
    const run = runFlow(mergePriority(NEVER, low).pipe(poolMap(work, { concurrency: 1 })));
    await expect(run).rejects.toThrow('work');
    expect(told.toSorted()).toEqual(['a back', 'b back']);
    expect(
      run
        .report()
        .left.map(({ stage }) => stage)
        .toSorted(),
    ).toEqual(['mergePriority-2', 'poolMap']);
  });

  it('is told apart in the report by its sources', async () => {
    const { stages } = await runFlow(mergePriority(fromPull([1, 2]), fromPull([3])));
    const counts = stages.map(({ name, in: taken, out }) => `${name}: ${taken} ${out}`);
    expect(counts.toSorted()).toEqual(['mergePriority-1: 2 2', 'mergePriority-2: 1 1']);
  });

  it('refuses what is no Observable', () => {
    expect(() => mergePriority()).toThrow(InvalidOptionError);
    expect(() => mergePriority(EMPTY, [1] as never)).toThrow(InvalidOptionError);
  });
});
