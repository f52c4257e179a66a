import { atLeast, callable, given, oneOf, refuse, wholeNumber } from '../options.ts';
import { InvalidOptionError } from '../errors.ts';
import { atOnce } from '../work/isPromiseLike.ts';

/** When to try again: data, applied by `withRetry`, `retryDelayed` and `storeTo`. */
export interface RetryPolicy {
  /** Milliseconds to wait before retry number `retry` (1, 2, …); undefined: give up. `previousMs` is the last wait. */
  readonly delayMs: (retry: number, previousMs: number) => number | undefined;
  /** No retry starts later than this many milliseconds after the first attempt. */
  readonly maxElapsedMs: number;
  readonly isRetryable: (error: unknown) => boolean;
  /** What all items under this policy may spend on retries. */
  readonly budget?: RetryBudget;
}

/** What is spent on retries, by all items together. */
export interface RetryBudget {
  /** An item has begun. */
  earn(): void;
  /** Takes one retry out; false: there is none left. */
  spend(): boolean;
}

export interface BudgetOptions {
  /** Retries for each item, on average: 0.2 means 20 for each 100 items. 0 up to 1. */
  readonly maxExtraShare: number;
  /** Retries at hand at the beginning, and at most. Whole number, 1 or more. @defaultValue 10 */
  readonly maxSaved?: number;
}

export interface RetryOptions {
  /** No retry starts later than this many milliseconds after the first attempt. @defaultValue Infinity */
  readonly maxElapsedMs?: number;
  /** Whether trying again may help: an error says so by `retryable`, or by its HTTP `status`. @defaultValue not where the error says that it does not */
  readonly isRetryable?: (error: unknown) => boolean;
}

export interface ExponentialOptions extends RetryOptions {
  /** The first wait, in milliseconds, 0 or more. */
  readonly initialMs: number;
  /** By what each wait is longer than the one before, 1 or more. @defaultValue 2 */
  readonly factor?: number;
  /** The longest wait, in milliseconds. @defaultValue 30_000 */
  readonly maxMs?: number;
  /**
   * `'full'`: anything between 0 and the wait; `'none'`: exactly the wait; `'decorrelated'`: anything between `initialMs`
   * and three times the wait before, without `factor`. @defaultValue 'full'
   */
  readonly jitter?: 'full' | 'none' | 'decorrelated';
  /** Retries at most: 3 means 4 attempts. Whole number, 0 or more. */
  readonly maxRetries: number;
  /** Chance: a number from 0 up to 1. @defaultValue Math.random */
  readonly random?: () => number;
}

/**
 * As many retries as delays, each after its delay in milliseconds: `delays([1_000, 3_000, 5_000])` makes four attempts.
 *
 * @throws `InvalidOptionError`, at call time, for a delay below 0.
 */
export function delays(delaysMs: readonly number[], options: RetryOptions = {}): RetryPolicy {
  if (!Array.isArray(delaysMs)) refuse('delays: delaysMs', 'an array of milliseconds', delaysMs);
  const waits: readonly number[] = [...(delaysMs as readonly number[])];
  for (const wait of waits) atLeast('delays: delaysMs', wait, 0);
  return { delayMs: (retry) => waits[retry - 1], ...common('delays', options) };
}

/**
 * Waits that grow by `factor` from `initialMs` up to `maxMs`, with full jitter.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, for `'full'` and `'decorrelated'`.
 */
export function exponential(options: ExponentialOptions): RetryPolicy {
  const {
    initialMs,
    factor = 2,
    maxMs = 30_000,
    jitter = 'full',
    maxRetries,
    random = Math.random,
  } = given(options);
  atLeast('exponential: initialMs', initialMs, 0);
  atLeast('exponential: factor', factor, 1);
  atLeast('exponential: maxMs', maxMs, 0);
  oneOf('exponential: jitter', jitter, ['full', 'none', 'decorrelated']);
  wholeNumber('exponential: maxRetries', maxRetries, 0);
  callable('exponential: random', random);
  const delayMs = (retry: number, previousMs: number): number | undefined => {
    if (retry > maxRetries) return undefined;
    if (jitter === 'decorrelated') {
      const most = Math.max(initialMs, previousMs) * 3;
      return Math.min(maxMs, initialMs + random() * (most - initialMs));
    }
    const growth = Math.min(factor ** (retry - 1), Number.MAX_VALUE); // 0 × Infinity would be no wait at all
    const wait = Math.min(maxMs, initialMs * growth);
    return jitter === 'full' ? wait * random() : wait;
  };
  return { delayMs, ...common('exponential', options) };
}

/**
 * A policy whose retries are limited for all items together: `budgeted(delays([100, 300]), { maxExtraShare: 0.2 })`.
 * Each item earns `maxExtraShare` of a retry, and each retry takes one; where none is left, the policy gives up. So a
 * service that fails altogether gets `1 + maxExtraShare` times the requests, and not as many times as there are delays.
 * All that use the same policy share the budget: make one for each service.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 * @see M. Brooker, "Fixing retries with token buckets and circuit breakers", 2022.
 */
export function budgeted(policy: RetryPolicy, options: BudgetOptions): RetryPolicy {
  const { maxExtraShare, maxSaved = 10 } = given(options);
  checkPolicy('budgeted: policy', policy);
  atLeast('budgeted: maxExtraShare', maxExtraShare, 0);
  if (maxExtraShare > 1) {
    throw new InvalidOptionError(`budgeted: maxExtraShare must be 1 or less, got ${maxExtraShare}`);
  }
  wholeNumber('budgeted: maxSaved', maxSaved, 1);
  let saved = maxSaved;
  const budget = {
    earn(): void {
      saved = Math.min(maxSaved, saved + maxExtraShare);
    },
    spend(): boolean {
      if (saved < 1) return false;
      saved--;
      return true;
    },
  };
  return { ...policy, budget };
}

function common(policy: string, options: RetryOptions): Omit<RetryPolicy, 'delayMs'> {
  const { maxElapsedMs = Infinity, isRetryable = retryableByDefault } = options;
  atLeast(`${policy}: maxElapsedMs`, maxElapsedMs, 0, true);
  callable(`${policy}: isRetryable`, isRetryable);
  return { maxElapsedMs, isRetryable };
}

/** Statuses of HTTP that blame the request, and yet may be gone the next time. */
const WORTH_RETRYING = [408, 425, 429];

/**
 * An error may say itself that it does not help, by `retryable: false`, or that it does, by `true`. Else its `status`
 * tells, where it is a number (Angular's `HttpErrorResponse`, for one): 4xx is not tried again, but for 408, 425, 429.
 */
export function retryableByDefault(error: unknown): boolean {
  const { retryable, status } = (error ?? {}) as { readonly retryable?: unknown; readonly status?: unknown };
  if (typeof retryable === 'boolean') return retryable;
  if (typeof status !== 'number') return true;
  return status < 400 || status > 499 || WORTH_RETRYING.includes(status);
}

/** Checks an option that is to be a policy. */
export function checkPolicy(key: string, policy: unknown): void {
  const made = typeof (policy as Partial<RetryPolicy> | null | undefined)?.delayMs === 'function';
  if (!made) refuse(key, 'made by delays(…) or exponential(…)', policy);
  callable(`${key}.isRetryable`, (policy as RetryPolicy).isRetryable);
}

/** The waits of one item under a policy. */
export class RetryClock {
  readonly #policy: RetryPolicy;
  readonly #startedAt: number;
  #retry = 0;
  #previousMs = 0;

  /** `startedAt`: when the first attempt began, on the clock of `waitMs`. */
  constructor(policy: RetryPolicy, startedAt: number) {
    this.#policy = policy;
    this.#startedAt = startedAt;
    policy.budget?.earn();
  }

  /**
   * Milliseconds to wait before the next attempt; undefined: give up. `error.retryAfterMs` is a floor: a server is
   * never asked earlier than it said.
   */
  waitMs(error: unknown, at: number): number | undefined {
    const { delayMs, maxElapsedMs, isRetryable, budget } = this.#policy;
    if (!atOnce('RetryPolicy', 'isRetryable', isRetryable(error), error)) return undefined;
    const wait = delayMs(++this.#retry, this.#previousMs);
    atOnce('RetryPolicy', 'delayMs', wait, error);
    if (typeof wait !== 'number' || !(wait >= 0)) return undefined; // a wait that is not a number never ends
    const floor = (error as { retryAfterMs?: unknown } | null | undefined)?.retryAfterMs;
    this.#previousMs = typeof floor === 'number' && floor > wait ? floor : wait;
    if (at - this.#startedAt + this.#previousMs > maxElapsedMs) return undefined;
    return budget && !budget.spend() ? undefined : this.#previousMs;
  }
}
