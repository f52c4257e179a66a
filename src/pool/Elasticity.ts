/** Weight of the latest sample: what is ten samples old counts a tenth. */
const ALPHA = 0.2;
/** Squared spread of the load (in logarithms) below which nothing is known: about 0.3 %. */
const NO_SPREAD = 1e-5;
/** Latencies below this are all the same, in milliseconds: clocks do not tell them apart. */
const SHORTEST_MS = 0.1;

/**
 * By how many percent latency grows where the load grows by one percent: 0 while there is room, 1 where more load only
 * waits longer, so that no more is done, above 1 where less is done. A regression line through the logarithms of the latest samples; where
 * the load did not change of late it says 0.
 */
export class Elasticity {
  #load: number | undefined = undefined;
  #latency = 0;
  #spread = 0;
  #together = 0;

  get value(): number {
    return this.#together / (this.#spread + NO_SPREAD);
  }

  /** So long did attempts take under so much load. */
  learn(latencyMs: number, load: number): void {
    const x = Math.log(load);
    const y = Math.log(Math.max(SHORTEST_MS, latencyMs));
    if (this.#load === undefined) {
      this.#load = x;
      this.#latency = y;
      return;
    }
    const dx = x - this.#load;
    const dy = y - this.#latency;
    this.#load += ALPHA * dx;
    this.#latency += ALPHA * dy;
    this.#spread = (1 - ALPHA) * (this.#spread + ALPHA * dx * dx);
    this.#together = (1 - ALPHA) * (this.#together + ALPHA * dx * dy);
  }
}
