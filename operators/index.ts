export { batch, type BatchOptions } from './batch.ts';
export { boundedQueue, type BoundedQueueOptions, type DroppedItem } from './boundedQueue.ts';
export { broadcast, type BroadcastOptions } from './broadcast.ts';
export { dedupe, type DedupeOptions } from './dedupe.ts';
export { drops } from './drops.ts';
export { filterOr, type FilterOrOptions } from './filterOr.ts';
export { poolMap, type PoolMapOptions } from './poolMap.ts';
export { rateLimit, type RateLimitOptions } from './rateLimit.ts';
export { retryDelayed } from './retryDelayed.ts';
export { route, type RouteOptions } from './route.ts';
export { stage } from './stage.ts';
export { storeTo, type StoreToOptions } from './storeTo.ts';

export { fromPull, type FromPullOptions } from '../src/demand/fromPull.ts';
export type { Settlement } from '../src/demand/PullSource.ts';
export { fromPush } from '../src/demand/fromPush.ts';
export { intake, type Intake, type IntakeOptions } from '../src/demand/intake.ts';
export type { Pullable, PullInput } from '../src/demand/pullInput.ts';
export { mergePriority } from '../src/demand/mergePriority.ts';
export { toAsyncIterable, type ToAsyncIterableOptions } from '../src/demand/toAsyncIterable.ts';
export { link, type LinkObserver } from '../src/rx/link.ts';

export { runFlow, type FlowRun, type RunFlowOptions } from '../src/flow/runFlow.ts';
export {
  withResources,
  type Resource,
  type ResourceScope,
  type WithResourcesOptions,
} from '../src/flow/withResources.ts';
export type { ConnectionStats, FlowReport, FlowStats, SourceStats, StageStats } from '../src/flow/report.ts';
export type { ItemEvent, LeftItem } from '../src/flow/Run.ts';

export {
  budgeted,
  delays,
  exponential,
  type BudgetOptions,
  type ExponentialOptions,
  type RetryBudget,
  type RetryOptions,
  type RetryPolicy,
} from '../src/retry/RetryPolicy.ts';
export { adaptive, type AdaptiveOptions } from '../src/work/adaptive.ts';
export { Concurrency, type Resizable } from '../src/work/Concurrency.ts';
export { withBreaker, type BreakerOptions } from '../src/work/withBreaker.ts';
export { withHedge, type HedgeOptions } from '../src/work/withHedge.ts';
export { withRetry } from '../src/work/withRetry.ts';
export { withTimeout, type TimeoutOptions } from '../src/work/withTimeout.ts';
export type { DeadLetter, DeadLetterHandler, OnFailure } from '../src/work/DeadLetter.ts';
export type { FailureClass, Sink, SinkContext, SinkEnding } from '../src/work/Sink.ts';
export type { Work, WorkContext } from '../src/work/Work.ts';

export {
  BreakerOpenError,
  HandedBackError,
  InvalidOptionError,
  OverrunError,
  QueueOverflowError,
  ScopeEndedError,
  SluiceError,
  SourceUsedError,
  TicketHeldError,
  TicketLostError,
  TicketPathError,
  TicketUnclaimedError,
  TimeoutError,
  UnclaimedError,
} from '../src/errors.ts';
