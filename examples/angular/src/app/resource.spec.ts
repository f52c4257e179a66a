import {
  createEnvironmentInjector,
  EnvironmentInjector,
  resource,
  runInInjectionContext,
} from '@angular/core';
import { TestBed } from '@angular/core/testing';
import { fromPull, poolMap, runFlow } from 'sluice';
import { expect, test, vi } from 'vitest';

/** For a machine that has more to do. */
const patience = { timeout: 10_000 };

/** Work that ends when it is told to. */
function gate() {
  let open = (): void => undefined;
  const signals: AbortSignal[] = [];
  const work = (value: number, { signal }: { readonly signal: AbortSignal }): Promise<number> => {
    signals.push(signal);
    return new Promise((resolve) => {
      open = () => resolve(value);
    });
  };
  return { work, signals, open: () => open() };
}

function runAsResource() {
  const view = createEnvironmentInjector([], TestBed.inject(EnvironmentInjector));
  const { work, signals, open } = gate();
  const flow = fromPull([1]).pipe(poolMap(work, { concurrency: 1 }));
  const report = runInInjectionContext(view, () =>
    resource({ loader: ({ abortSignal }) => runFlow(flow, { signal: abortSignal }) }),
  );
  return { view, report, signals, open };
}

test('a run is what the loader of a resource returns', async () => {
  const { report, signals, open } = runAsResource();
  TestBed.tick();
  await vi.waitFor(() => expect(signals).toHaveLength(1), patience);
  expect(report.isLoading()).toBe(true);
  open();
  await vi.waitFor(() => expect(report.isLoading()).toBe(false), patience);
  expect(report.value()).toMatchObject({ end: 'completed', delivered: 1 });
});

test('the run is aborted when the view of its resource goes', async () => {
  const { view, signals } = runAsResource();
  TestBed.tick();
  await vi.waitFor(() => expect(signals).toHaveLength(1), patience);
  view.destroy();
  expect(signals[0]?.aborted).toBe(true);
});
