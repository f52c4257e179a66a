import { fromPull } from '../../../demand/fromPull.ts';
import { runFlow } from '../../../flow/runFlow.ts';
import { counted, must, type Checks } from '../Law.ts';
import { quiet, within } from '../time.ts';
import { watch } from '../watch.ts';
import {
  completing,
  ended,
  endless,
  items,
  keepsChain,
  mostOutputs,
  oneByOne,
  Pipeline,
  type OperatorTrial,
} from './OperatorTrial.ts';

/** Steps of a slow stage in which it is looked at. */
const LOOKS = 6;

/** More items than an operator, and the stage below it, can hold. */
function plenty({ limit }: OperatorTrial): number {
  return 40 + 4 * limit;
}

/** The same items, pulled at once and one by one. */
function sources(trial: OperatorTrial): ReturnType<typeof fromPull>[] {
  const input = items(trial, plenty(trial));
  return [fromPull(input), fromPull(() => oneByOne(input))];
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
      const pipeline = new Pipeline(trial, source);
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
      const { flow, below } = new Pipeline(trial, source);
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
      await ended(seen);
      must(seen.completed, 'it to complete', String(seen.error));
    }
  },

  async 'completes when the flow is drained, and gives what it took in'(trial) {
    if (!keepsChain(trial)) return;
    const pipeline = new Pipeline(
      trial,
      fromPull(() => endless(trial, { count: 0 })),
    );
    const run = runFlow(pipeline.flow, { onWarning: () => undefined });
    await quiet();
    pipeline.below.release(2);
    await quiet();
    void run.drain();
    pipeline.below.open();
    const { end, delivered } = await within(run, 60_000);
    must(end === 'drained', "a run that ends as 'drained'", `'${end}'`);
    const whole = await completing(trial.make()(fromPull(items(trial, pipeline.arrived))));
    must(
      delivered >= whole.values.length,
      `${counted(whole.values.length, 'value')} of the ${pipeline.arrived} items that it took in`,
      counted(delivered, 'value'),
    );
  },
};
