import { counted } from '../../../counted.ts';
import { concat, NEVER, type Observable } from 'rxjs';
import { fromPull } from '../../../demand/fromPull.ts';
import { runFlow } from '../../../flow/runFlow.ts';
import { ending } from '../ending.ts';
import { must, type Checks } from '../Law.ts';
import { forAWhile, quiet, within } from '../time.ts';
import { watch } from '../watch.ts';
import { oneByOne } from '../numbers.ts';
import {
  items,
  keepsChain,
  mostOutputs,
  mustBeWhole,
  Pipeline,
  type OperatorTrial,
} from './OperatorTrial.ts';

/** Steps of a slow stage in which it is looked at. */
const LOOKS = 6;
/** Milliseconds in which a flow must have drained. */
const DRAIN_MS = 30_000;

/** More items than an operator, and the stage below it, can hold. */
function plenty({ limit }: OperatorTrial): number {
  return 40 + 4 * limit;
}

/** The same items, pulled at once and one by one. */
function sources(trial: OperatorTrial): Observable<unknown>[] {
  const input = items(trial, plenty(trial));
  return [fromPull(input), fromPull(() => oneByOne(input))];
}

/** A source that has more, but not now: what an operator lets go of at the end stays in it. */
function silent(source: Observable<unknown>): Observable<unknown> {
  return concat(source, NEVER);
}

/** How demand crosses an operator. */
export const demandChecks: Checks<OperatorTrial> = {
  'keeps the chain to those below'(trial) {
    must(
      keepsChain(trial),
      'a source above to see the demand below: source.subscribe(link(subscriber, { next: … }))',
      'a chain that is cut: a plain observer, a Subject or share',
    );
  },

  async 'holds no more than its limit'(trial) {
    if (!keepsChain(trial)) return;
    const room = mostOutputs(trial, trial.limit, plenty(trial));
    for (const source of sources(trial)) {
      const pipeline = new Pipeline(trial, silent(source));
      const { below } = pipeline;
      const { subscription } = watch(pipeline.flow);
      for (let look = 0; look < LOOKS; look++) {
        await quiet();
        const inside = trial.outputs(items(trial, pipeline.arrived)) - below.accepted;
        must(
          inside <= room,
          `what gives ${counted(room, 'value')} at most to wait in it (limit: ${trial.limit})`,
          `${pipeline.arrived} items that came in, ${below.accepted} values that went out`,
        );
        below.release();
      }
      subscription.unsubscribe();
    }
  },

  async 'gives nothing while those below have no room'(trial) {
    if (!keepsChain(trial)) return;
    const most = Math.max(1, trial.outputs(items(trial, 1)));
    for (const source of sources(trial)) {
      const { flow, below } = new Pipeline(trial, silent(source));
      const { subscription } = watch(flow);
      for (let look = 0; look < LOOKS; look++) {
        await quiet();
        must(
          below.most <= most,
          `a stage below with one place to hold ${most} at most`,
          `${below.most} in it`,
        );
        below.release();
      }
      subscription.unsubscribe();
    }
  },

  async 'goes on when those below have room again'(trial) {
    if (!keepsChain(trial)) return;
    const whole = await ending(trial.make()(fromPull(items(trial, plenty(trial)))));
    for (const source of sources(trial)) {
      const pipeline = new Pipeline(trial, source);
      const { below } = pipeline;
      const seen = watch(pipeline.flow);
      for (let look = 0; look < LOOKS; look++) {
        await quiet();
        below.release();
      }
      await quiet();
      must(
        seen.values.length >= LOOKS || seen.completed,
        `${LOOKS} values, one for each time that there was room`,
        counted(seen.values.length, 'value'),
      );
      below.open();
      await forAWhile(seen.ended);
      mustBeWhole(trial, whole.values, seen.values, ', as where there is always room');
    }
  },

  async 'completes when the flow is drained, and gives what it took in'(trial) {
    if (!keepsChain(trial)) return;
    const pipeline = new Pipeline(trial, fromPull(items(trial, plenty(trial))));
    const run = runFlow(pipeline.flow, { onWarning: () => undefined, drainTimeoutMs: DRAIN_MS });
    await quiet();
    pipeline.below.release(2);
    await quiet();
    void run.drain();
    pipeline.below.open();
    const { end } = await within(run, 2 * DRAIN_MS);
    must(end !== 'aborted', `a run that ends within ${DRAIN_MS} ms`, `it goes on: '${end}' at the timeout`);
    const whole = await ending(trial.make()(fromPull(items(trial, pipeline.arrived))));
    mustBeWhole(trial, whole.values, pipeline.delivered, ` of the ${pipeline.arrived} items that it took in`);
  },
};
