/*
 * What the laws use of Node, in a browser: a turn of the event loop, and being told of what nobody caught. Import it
 * before them.
 */
type Listener = (error: unknown) => void;

const caughtByNobody: Record<string, { event: string; read: (event: Event) => unknown }> = {
  uncaughtException: { event: 'error', read: (event) => (event as ErrorEvent).error },
  unhandledRejection: {
    event: 'unhandledrejection',
    read: (event) => (event as PromiseRejectionEvent).reason,
  },
};
const listeners = new Map<string, Listener[]>();

for (const [name, { event, read }] of Object.entries(caughtByNobody)) {
  // Before the test runner, which would count it as a failure of its own: it gets what the laws do not listen for.
  const tell = (happened: Event): void => {
    const told = listeners.get(name) ?? [];
    if (told.length === 0) return;
    happened.preventDefault();
    happened.stopImmediatePropagation();
    for (const listener of told) listener(read(happened));
  };
  window.addEventListener(event, tell, { capture: true });
}

const host = {
  rawListeners: (name: string): Listener[] => [...(listeners.get(name) ?? [])],
  removeAllListeners: (name: string) => {
    listeners.delete(name);
    return host;
  },
  on: (name: string, listener: Listener) => {
    listeners.set(name, [...(listeners.get(name) ?? []), listener]);
    return host;
  },
};

/** One channel for all: making one for each turn takes longer than the turn. */
const { port1: turns, port2: ask } = new MessageChannel();
const waiting: (() => void)[] = [];
turns.onmessage = () => waiting.shift()?.();

function setImmediate(run: () => void): void {
  waiting.push(run);
  ask.postMessage(undefined);
}

Object.assign(globalThis, { process: host, setImmediate });
