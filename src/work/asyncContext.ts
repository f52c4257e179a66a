import { isReplaced } from '../clock.ts';

/**
 * Gives a function that has `run` called in the async context of now (`AsyncLocalStorage`), whoever calls it: a reaction of
 * a promise has that in which it was asked for. So it runs a microtask later, once. In virtual time, where no promise
 * settles, it runs at once.
 */
export function inThisContext(run: () => void): () => void {
  if (isReplaced()) return run;
  let call!: () => void;
  void new Promise<void>((resolve) => (call = resolve)).then(run);
  return call;
}

/** The same for any number of calls; of those that are made before it runs, the first counts. */
export function eachInThisContext(run: () => void): () => void {
  let call!: () => void;
  const listen = (): void => {
    call = inThisContext(() => {
      listen();
      run();
    });
  };
  listen();
  return () => {
    call();
  };
}
