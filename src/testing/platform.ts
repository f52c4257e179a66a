import type * as AsyncHooks from 'node:async_hooks';
import type * as Module from 'node:module';

interface Builtins {
  'node:async_hooks': typeof AsyncHooks;
  'node:module': typeof Module;
  'node:process': NodeJS.Process;
}

/** A module of Node, without an import that a browser would stumble over; undefined in a browser. */
export function builtin<K extends keyof Builtins>(name: K): Builtins[K] | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return process?.getBuiltinModule?.(name) as Builtins[K] | undefined;
}

/** Has `import { setTimeout } from 'node:timers/promises'` see what was replaced in those modules, or put back. */
export function syncExports(): void {
  builtin('node:module')?.syncBuiltinESMExports();
}

/** Collects rejections that nobody handles, until `stop`. Those who listened before are not told meanwhile. */
export function collectRejections(): { readonly found: unknown[]; stop(): void } {
  const found: unknown[] = [];
  const node = builtin('node:process');
  if (node) {
    const others = node.listeners('unhandledRejection');
    const listen = (reason: unknown): void => {
      found.push(reason);
    };
    node.removeAllListeners('unhandledRejection').on('unhandledRejection', listen);
    return {
      found,
      stop() {
        node.off('unhandledRejection', listen);
        for (const other of others) node.on('unhandledRejection', other);
      },
    };
  }
  const listen = (event: PromiseRejectionEvent): void => {
    event.preventDefault();
    found.push(event.reason);
  };
  globalThis.addEventListener('unhandledrejection', listen);
  return {
    found,
    stop() {
      globalThis.removeEventListener('unhandledrejection', listen);
    },
  };
}
