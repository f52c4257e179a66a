import type { Sabotage } from '../support/mutant.ts';

/** A fault that is put into an operator, and that its pictures have to find. */
export interface Fault extends Sabotage {
  readonly says: string;
}

const hedge = 'src/work/withHedge.ts';
const limit = 'src/pool/AdaptiveLimit.ts';
const pool = 'src/work/PoolStage.ts';
const queue = 'operators/boundedQueue.ts';
const batch = 'operators/batch.ts';
const buckets = 'src/rate/TokenBuckets.ts';
const recent = 'src/queue/RecentKeys.ts';
const fan = 'src/demand/FanStage.ts';
const priority = 'src/demand/mergePriority.ts';
const rate = 'operators/rateLimit.ts';
const policy = 'src/retry/RetryPolicy.ts';
const retry = 'src/work/withRetry.ts';
const timeout = 'src/work/withTimeout.ts';

/** By the word whose pictures find them. Each `find` stands once in its file; a stale one fails loudly. */
export const faults: Readonly<Record<string, readonly Fault[]>> = {
  poolMap: [
    {
      says: 'one worker too many',
      file: pool,
      find: 'this.#concurrency = settings.concurrency;',
      replace: 'this.#concurrency = settings.concurrency + 1;',
    },
    {
      says: 'the limit is ignored on refill',
      file: pool,
      find: 'while (!this.dead && this.#working < this.#concurrency)',
      replace: 'while (!this.dead)',
    },
    {
      says: 'completes while busy',
      file: pool,
      find: 'return this.demand.held === 0;',
      replace: 'return this.#line.size === 0;',
    },
    {
      says: 'never completes',
      file: pool,
      find: 'return this.demand.held === 0;',
      replace: 'return false;',
    },
    {
      says: 'the order of the line is changed',
      file: 'src/pool/lines.ts',
      find: 'return this.#queue.take();',
      replace: 'return this.#queue.takeLast();',
    },
    { says: 'a worker is never freed', file: pool, find: 'this.#working--;', replace: '' },
    { says: 'works on after unsubscription', file: pool, find: 'inner.unsubscribe()', replace: 'undefined' },
    {
      says: 'demand is opened too early',
      file: pool,
      find: 'settings.concurrency + settings.maxWaiting',
      replace: 'settings.concurrency + settings.maxWaiting + 1',
    },
    {
      says: 'demand is never reopened',
      file: pool,
      find: 'this.demand.release();',
      replace: 'this.demand.held--;',
    },
    {
      says: 'ordered results leave when they are ready',
      file: pool,
      find: 'this.#ordered = settings.ordered;',
      replace: 'this.#ordered = false;',
    },
    {
      says: 'two items of a key at a time',
      file: 'src/pool/lines.ts',
      find: 'if (waiting) waiting.push(entry);',
      replace: 'if (waiting) waiting.push(entry) > 1 || this.#turns.push(key);',
    },
    {
      says: 'a raised limit waits for the next item',
      file: pool,
      find: 'this.#startNext();\n    this.demand.resize(',
      replace: 'this.demand.resize(',
    },
    {
      says: 'a lowered limit is not heard of',
      file: pool,
      find: 'this.#concurrency = concurrency;',
      replace: 'if (concurrency > this.#concurrency) this.#concurrency = concurrency;',
    },
    {
      says: 'an error from above passes at once',
      file: 'src/demand/Stage.ts',
      find: 'this.#failure ??= { error };',
      replace: 'this.out.error(error);',
    },
  ],
  boundedQueue: [
    {
      says: 'one item too many',
      file: queue,
      find: 'super(identity, subscriber, capacity);',
      replace: 'super(identity, subscriber, capacity + 1);',
    },
    {
      says: 'last come, first served',
      file: queue,
      find: 'const value = this.#values.take();',
      replace: 'const value = this.#values.takeLast();',
    },
    {
      says: 'completes before it is empty',
      file: queue,
      find: 'return this.#values.size === 0;',
      replace: 'return true;',
    },
    {
      says: 'never completes',
      file: queue,
      find: 'return this.#values.size === 0;',
      replace: 'return false;',
    },
    {
      says: 'demand is never reopened',
      file: queue,
      find: 'if (!this.dead) this.demand.release();',
      replace: 'if (!this.dead) this.demand.held--;',
    },
    {
      says: 'dropOldest and dropNewest are mixed up',
      file: queue,
      find: 'const dropped = oldest ?',
      replace: 'const dropped = !oldest ?',
    },
    { says: 'drops are not counted', file: queue, find: 'this.meter.dropped++;', replace: '' },
    {
      says: 'the queue overflows in silence',
      file: queue,
      find: 'if (demand.held > demand.limit && pushed && !this.dead) this.#overflows();',
      replace: '',
    },
  ],
  batch: [
    {
      says: 'time is never up',
      file: batch,
      find: 'if (this.#values.length === 1) this.#startTimer();',
      replace: '',
    },
    {
      says: 'each item starts the time again',
      file: batch,
      find: 'if (this.#values.length === 1) this.#startTimer();',
      replace: 'this.#startTimer();',
    },
    {
      says: 'the last batch is lost',
      file: batch,
      find: 'return this.#values.length === 0;',
      replace: 'return true;',
    },
    {
      says: 'nothing leaves before it is full',
      file: batch,
      find: 'this.#due = this.#values.length;',
      replace: 'this.#due = 0;',
    },
    {
      says: 'a batch is too heavy by one item',
      file: batch,
      find: 'return Math.max(1, i);',
      replace: 'return Math.max(1, i + 1);',
    },
    {
      says: 'demand is opened too early',
      file: batch,
      find: 'super(identity, subscriber, bounds.maxItems);',
      replace: 'super(identity, subscriber, bounds.maxItems + 1);',
    },
    { says: 'demand is never reopened', file: batch, find: 'this.demand.held -= size;', replace: '' },
    {
      says: 'emits into closed demand',
      file: batch,
      find: 'if (size === 0 || !this.out.ready()) return false;',
      replace: 'if (size === 0) return false;',
    },
  ],
  broadcast: [
    {
      says: 'the slower branch is not waited for',
      file: 'operators/broadcast.ts',
      find: 'new BroadcastStage(identity, subscriber, 1, all)',
      replace: 'new BroadcastStage(identity, subscriber, 9, all)',
    },
    {
      says: 'the first branch to take an item has it alone',
      file: fan,
      find: 'if (parcel.owed > 0) return;',
      replace: '',
    },
    {
      says: 'emits into closed demand',
      file: fan,
      find: 'if (!way.ready()) continue;',
      replace: '',
    },
    {
      says: 'a branch that has completed is waited for',
      file: fan,
      find: 'this.#takenBy(branch.waiting.take());',
      replace: 'branch.waiting.take();',
    },
    {
      says: 'the source is kept when nobody is left',
      file: fan,
      find: 'if (!this.inputDone && this.idle()) {',
      replace: 'if (!this.inputDone && !this.idle()) {',
    },
    {
      says: 'an error in one branch cuts the others off',
      file: fan,
      find: 'if (!this.#inputError) this.fail(error);',
      replace: 'this.#subscriber.error(error);',
    },
    {
      says: 'completes with the first branch',
      file: fan,
      find: 'return this.#branches.every(({ done }) => done);',
      replace: 'return this.#branches.some(({ done }) => done);',
    },
    {
      says: 'an item is lost to a branch that is about to subscribe again',
      file: fan,
      find: 'if (way === undefined) continue;',
      replace: 'if (way === undefined) { while (waiting.size > 0) this.#takenBy(waiting.take()); continue; }',
    },
  ],
  route: [
    {
      says: 'one item too many waits',
      file: 'operators/route.ts',
      find: 'super(identity, subscriber, maxWaiting,',
      replace: 'super(identity, subscriber, maxWaiting + 1,',
    },
    {
      says: 'what no branch is for is told to nobody',
      file: 'operators/route.ts',
      find: 'this.#rejected?.tell(value);',
      replace: '',
    },
    {
      says: 'what is rejected keeps its place',
      file: 'operators/route.ts',
      find: 'if (!this.dead) this.demand.release();',
      replace: '',
    },
    {
      says: 'a branch that has completed is still given items',
      file: 'operators/route.ts',
      find: 'if (branch === undefined || branch.done)',
      replace: 'if (branch === undefined)',
    },
    {
      says: 'an item that has to wait keeps those of other branches waiting',
      file: fan,
      find: 'if (!way.ready()) continue;',
      replace: 'if (!way.ready()) return progress;',
    },
  ],
  mergePriority: [
    {
      says: 'what came first goes first',
      file: priority,
      find: 'return this.#firstWithItem(0, lane.place) !== undefined;',
      replace: 'return false;',
    },
    {
      says: 'two items of a source are held',
      file: priority,
      find: 'super(identity, subscriber, 1);',
      replace: 'super(identity, subscriber, 2);',
    },
    {
      says: 'the less urgent ones are not told when they may go',
      file: priority,
      find: 'if (this.empty) this.#lanes.letPass(this);',
      replace: '',
    },
    {
      says: 'emits into closed demand',
      file: priority,
      find: ' || !this.out.ready()',
      replace: '',
    },
    {
      says: 'completes with the first source',
      file: priority,
      find: 'if (this.#open > 0) return;',
      replace: '',
    },
    {
      says: 'an error leaves the other source as it is',
      file: priority,
      find: 'for (const { lane } of this.#lanes) lane.fail(failure.error);',
      replace: '',
    },
  ],
  dedupe: [
    {
      says: 'a repeat prolongs the time',
      file: recent,
      find: 'this.#addedAt.set(key, addedAt);',
      replace: 'this.#addedAt.set(key, at);',
    },
    {
      says: 'a key is remembered for ever',
      file: recent,
      find: 'const known = at - addedAt < this.#withinMs;',
      replace: 'const known = true;',
    },
    {
      says: 'the key that was added first is forgotten, though it was just seen',
      file: recent,
      find: 'if (known) this.#addedAt.set(key, addedAt);',
      replace: 'if (known) return true;',
    },
    {
      says: 'no key is forgotten',
      file: 'src/queue/LruMap.ts',
      find: 'if (this.size > this.#maxSize)',
      replace: 'if (this.size < 0)',
    },
    { says: 'drops are not counted', file: 'operators/dedupe.ts', find: 'meter.dropped++;', replace: '' },
  ],
  rateLimit: [
    {
      says: 'a bucket is one token too large',
      file: buckets,
      find: 'this.#slackMs = (burst - 1)',
      replace: 'this.#slackMs = burst',
    },
    {
      says: 'tokens pile up during a pause',
      file: buckets,
      find: 'Math.max(at, this.#fullAt.get(key) ?? at)',
      replace: '(this.#fullAt.get(key) ?? at)',
    },
    {
      says: 'all keys share one bucket',
      file: rate,
      find: 'this.#buckets.take(key, at);',
      replace: 'for (const each of this.#lines.keys()) this.#buckets.take(each, at);',
    },
    {
      says: 'a key that has to wait keeps the others waiting',
      file: rate,
      find: 'dueAt < earliest[2]',
      replace: 'false',
    },
    {
      says: 'emits into closed demand',
      file: rate,
      find: 'if (!this.out.ready()) return false;',
      replace: '',
    },
    {
      says: 'demand is never reopened',
      file: rate,
      find: 'if (!this.dead) this.demand.release();',
      replace: 'if (!this.dead) this.demand.held--;',
    },
    {
      says: 'completes while items wait',
      file: rate,
      find: 'return this.#lines.size === 0;',
      replace: 'return true;',
    },
    {
      says: 'the wait goes on after unsubscription',
      file: rate,
      find: '    this.#timer?.unsubscribe();\n    for',
      replace: '    for',
    },
  ],
  retryDelayed: [
    {
      says: 'tries again at once',
      file: policy,
      find: 'const wait = delayMs(++this.#retry, this.#previousMs);',
      replace: 'const wait = delayMs(++this.#retry, this.#previousMs) && 0;',
    },
    { says: 'one retry too few', file: policy, find: 'waits[retry - 1]', replace: 'waits[retry]' },
    {
      says: 'one retry too many',
      file: policy,
      find: 'waits[retry - 1]',
      replace: 'waits[Math.max(0, retry - 2)]',
    },
    {
      says: 'what is not retryable is tried again',
      file: policy,
      find: "if (!atOnce('RetryPolicy', 'isRetryable', isRetryable(error), error)) return undefined;",
      replace: '',
    },
    {
      says: 'retryAfterMs is ignored',
      file: policy,
      find: 'floor > wait ? floor : wait',
      replace: 'floor > wait ? wait : wait',
    },
    {
      says: 'draining does not end the wait',
      file: 'operators/retryDelayed.ts',
      find: 'demand?.whenDraining(stop) ??',
      replace: '',
    },
    {
      says: 'the wait goes on after unsubscription',
      file: retry,
      find: `  return () => {
    timer.unsubscribe();
    forget();
  };`,
      replace: '  return () => {\n    forget();\n  };',
    },
  ],
  withTimeout: [
    { says: 'work goes on after its time', file: timeout, find: 'item.abort(error);', replace: '' },
    {
      says: 'one millisecond late',
      file: timeout,
      find: 'after(timeoutMs, timedOut)',
      replace: 'after(timeoutMs + 1, timedOut)',
    },
  ],
  filterOr: [
    {
      says: 'what is rejected is told to nobody',
      file: 'operators/filterOr.ts',
      find: "typeof rejected === 'object' ?",
      replace: "typeof rejected === 'function' ? () => undefined : typeof rejected === 'object' ?",
    },
  ],
  storeTo: [
    {
      says: 'emits before the sink has confirmed',
      file: 'src/work/StoreStage.ts',
      find: 'await under(null, () => this.#store(values, forked));',
      replace: 'void under(null, () => this.#store(values, forked));',
    },
    {
      says: 'bad data is not cut in halves',
      file: 'src/work/StoreStage.ts',
      find: "if (kind === 'data' && to - from > 1) {",
      replace: 'if (to - from > 99) {',
    },
    {
      says: 'time is never up',
      file: 'src/work/StoreStage.ts',
      find: 'else if (!this.#timer && this.#settings.maxWaitMs !== Infinity) this.#startTimer();',
      replace: '',
    },
  ],
  runFlow: [
    {
      says: 'draining aborts',
      file: 'src/demand/Stage.ts',
      find: '    this.demand.drain();\n    this.flush();',
      replace: '    this.fail(new Error());\n    this.flush();',
    },
    {
      says: 'draining does not reach the source',
      file: 'src/demand/Demand.ts',
      find: 'if (!outlet.inner) outlet.emitter.stop();',
      replace: '',
    },
  ],
  withBreaker: [
    {
      says: 'never opens',
      file: 'src/work/Breaker.ts',
      find: '++this.#failures < this.#maxFailures',
      replace: 'true',
    },
    {
      says: 'a success does not start the count again',
      file: 'src/work/Breaker.ts',
      find: 'this.#failures = 0;\n    if',
      replace: 'if',
    },
    {
      says: 'all are tried at once',
      file: 'src/work/Breaker.ts',
      find: "this.#state = 'trying';",
      replace: "this.#state = 'closed';",
    },
    {
      says: 'never closes',
      file: 'src/work/Breaker.ts',
      find: "this.#state = 'closed';\n    this.#admit();",
      replace: 'return;',
    },
    {
      says: 'draining does not end the wait',
      file: 'src/work/withBreaker.ts',
      find: 'fail(new BreakerOpenError(breaker.remainingMs));\n        });',
      replace: '});',
    },
  ],
  withHedge: [
    { says: 'no second attempt', file: hedge, find: 'if (saved < 1) return;', replace: 'return;' },
    { says: 'a second attempt at once', file: hedge, find: 'after(slow, ', replace: 'after(0, ' },
    { says: 'as many second attempts as one likes', file: hedge, find: 'saved--;', replace: '' },
    {
      says: 'the slower one goes on',
      file: hedge,
      find: "if (other !== item) other.abort(new Error('the other attempt was quicker'));",
      replace: 'void other;',
    },
    {
      says: 'the first failure is the end',
      file: hedge,
      find: 'if (over || ++failed < attempts.length) return;',
      replace: 'if (over) return;',
    },
    {
      says: 'unsubscribing leaves them at work',
      file: hedge,
      find: 'for (const item of attempts) item.abort(outer.signal.reason);',
      replace: '',
    },
  ],
  adaptive: [
    { says: 'never more', file: limit, find: ': limit + 1;', replace: ': limit;' },
    { says: 'two more a round', file: limit, find: ': limit + 1;', replace: ': limit + 2;' },
    { says: 'more than max', file: limit, find: 'Math.min(this.#max, ', replace: 'Math.min(Infinity, ' },
    { says: 'more where nobody asked', file: limit, find: '!this.#reached || ', replace: '' },
    {
      says: 'a service that has too much to do is not heard',
      file: limit,
      find: 'if (this.#pushedBack)',
      replace: 'if (this.#samples < 0)',
    },
    {
      says: 'each failure is taken for too much to do',
      file: 'src/work/adaptive.ts',
      find: 'if (isPushback)',
      replace: 'if (error)',
    },
    {
      says: 'nobody asks whether more get done',
      file: limit,
      find: 'this.#elasticity.value > SATURATED',
      replace: 'this.#samples < 0',
    },
  ],
};
