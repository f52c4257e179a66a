/** How much deeper the stack is at the deepest of the places where it was looked at than at the first. */
export class StackMeter {
  #first: number | undefined;
  #deepest = 0;

  readonly look = (): void => {
    const limits = Error as { stackTraceLimit?: number };
    const limit = limits.stackTraceLimit;
    if (limit === undefined) return; // an engine whose stacks have one length: only an overflow is noticed
    limits.stackTraceLimit = Infinity;
    const depth = (new Error().stack ?? '').split('\n').length;
    limits.stackTraceLimit = limit;
    this.#first ??= depth;
    this.#deepest = Math.max(this.#deepest, depth);
  };

  get growth(): number {
    return this.#deepest - (this.#first ?? this.#deepest);
  }
}
