import type { StageMeter } from './StageMeter.ts';

interface Counts {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

/** What becomes of connections in one run. */
interface Use extends Counts {
  /** Milliseconds, since it uses them, in which somebody waited since none was free. */
  readonly shortMs: number;
}

/** Connections, as the figures of a run read them. */
export interface CountedConnections {
  /** What keeps them. */
  readonly name: string;
  readonly counts: () => Counts;
  /** Milliseconds, up to now, in which somebody waited since none was free. */
  readonly shortMs: () => number;
}

/** Who keeps connections, and what uses them: work, and sinks. One name for all copies of sluice in the process. */
const key = /* @__PURE__ */ Symbol.for('sluice.connections/1');

interface User {
  [key]?: CountedConnections | undefined;
}

/** The connections that this keeps or uses, if it has said so. */
export function connectionsOf(user: object): CountedConnections | undefined {
  return (user as User)[key];
}

/** Says that `user` keeps or uses these. */
export function counting<U extends object>(user: U, connections: CountedConnections | undefined): U {
  if (connections) (user as User)[key] = connections;
  return user;
}

/** Connections that a run uses. */
export class ConnectionUse {
  /** The stages that use them. */
  readonly meters: StageMeter[] = [];
  readonly connections: CountedConnections;
  readonly #shortBeforeMs: number;
  #atEnd: Use | undefined;

  constructor(connections: CountedConnections) {
    this.connections = connections;
    this.#shortBeforeMs = connections.shortMs();
  }

  /** Now, or as it was when the run was over: what others do with them later is not in its figures. */
  get use(): Use {
    const { counts, shortMs } = this.connections;
    return this.#atEnd ?? { ...counts(), shortMs: shortMs() - this.#shortBeforeMs };
  }

  /** The run is over. */
  over(): void {
    this.#atEnd = this.use;
  }
}
