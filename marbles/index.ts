import type { Marble } from 'sluice/testing';
import { adaptiveMarbles } from './adaptive.marbles.ts';
import { batchMarbles } from './batch.marbles.ts';
import { boundedQueueMarbles } from './boundedQueue.marbles.ts';
import { broadcastMarbles } from './broadcast.marbles.ts';
import { dedupeMarbles } from './dedupe.marbles.ts';
import { dropsMarbles } from './drops.marbles.ts';
import { filterOrMarbles } from './filterOr.marbles.ts';
import { mergePriorityMarbles } from './mergePriority.marbles.ts';
import { poolMapMarbles } from './poolMap.marbles.ts';
import { rateLimitMarbles } from './rateLimit.marbles.ts';
import { retryDelayedMarbles } from './retryDelayed.marbles.ts';
import { routeMarbles } from './route.marbles.ts';
import { runFlowMarbles } from './runFlow.marbles.ts';
import { stageMarbles } from './stage.marbles.ts';
import { storeToMarbles } from './storeTo.marbles.ts';
import { withBreakerMarbles } from './withBreaker.marbles.ts';
import { withResourcesMarbles } from './withResources.marbles.ts';
import { withHedgeMarbles } from './withHedge.marbles.ts';
import { withRetryMarbles } from './withRetry.marbles.ts';
import { withTimeoutMarbles } from './withTimeout.marbles.ts';

/** What one word does. */
export interface Chapter {
  readonly word: string;
  /** The file whose doc comment has the first picture. */
  readonly file: string;
  readonly marbles: readonly Marble[];
}

/** The picture book: each word of the vocabulary in pictures that run. */
export const book: readonly Chapter[] = [
  { word: 'poolMap', file: 'operators/poolMap.ts', marbles: poolMapMarbles },
  { word: 'boundedQueue', file: 'operators/boundedQueue.ts', marbles: boundedQueueMarbles },
  { word: 'filterOr', file: 'operators/filterOr.ts', marbles: filterOrMarbles },
  { word: 'broadcast', file: 'operators/broadcast.ts', marbles: broadcastMarbles },
  { word: 'route', file: 'operators/route.ts', marbles: routeMarbles },
  { word: 'mergePriority', file: 'src/demand/mergePriority.ts', marbles: mergePriorityMarbles },
  { word: 'dedupe', file: 'operators/dedupe.ts', marbles: dedupeMarbles },
  { word: 'batch', file: 'operators/batch.ts', marbles: batchMarbles },
  { word: 'storeTo', file: 'operators/storeTo.ts', marbles: storeToMarbles },
  { word: 'rateLimit', file: 'operators/rateLimit.ts', marbles: rateLimitMarbles },
  { word: 'retryDelayed', file: 'operators/retryDelayed.ts', marbles: retryDelayedMarbles },
  { word: 'withRetry', file: 'src/work/withRetry.ts', marbles: withRetryMarbles },
  { word: 'withTimeout', file: 'src/work/withTimeout.ts', marbles: withTimeoutMarbles },
  { word: 'withBreaker', file: 'src/work/withBreaker.ts', marbles: withBreakerMarbles },
  { word: 'withHedge', file: 'src/work/withHedge.ts', marbles: withHedgeMarbles },
  { word: 'adaptive', file: 'src/work/adaptive.ts', marbles: adaptiveMarbles },
  { word: 'stage', file: 'operators/stage.ts', marbles: stageMarbles },
  { word: 'drops', file: 'operators/drops.ts', marbles: dropsMarbles },
  { word: 'runFlow', file: 'src/flow/runFlow.ts', marbles: runFlowMarbles },
  { word: 'withResources', file: 'src/flow/withResources.ts', marbles: withResourcesMarbles },
];
