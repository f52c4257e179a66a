import { counted } from '../../../counted.ts';
import { take, type Observable } from 'rxjs';
import { runFlow } from '../../../flow/runFlow.ts';
import { Below } from '../Below.ts';
import { ending, sentAfterEnd } from '../ending.ts';
import { must, shown, type Checks } from '../Law.ts';
import { StackMeter } from '../StackMeter.ts';
import { quiet, whileCounting, within } from '../time.ts';
import { watch } from '../watch.ts';
import { DRAIN_MS, endOf, mustBeItsItems, SOME, type SourceTrial } from './SourceTrial.ts';

/** What holds for every source. */
export const streamChecks: Checks<SourceTrial> = {
  async 'gives its items, then completes'(trial) {
    for (const count of [0, 1, 3, SOME]) {
      const seen = await ending(trial.make(count).pipe(take(count + 1)));
      must(
        seen.completed && seen.values.length === count,
        `${counted(count, 'item')}, then completion`,
        endOf(seen),
      );
      mustBeItsItems(trial, seen.values);
    }
  },

  async 'gives the same to a second subscriber, or says that it is used'({ make }) {
    const source = make(3);
    const first = await ending(source);
    const second = await ending(source);
    const used = (second.error as { readonly code?: unknown } | undefined)?.code === 'SOURCE_USED';
    must(
      used || (second.completed && shown(second.values) === shown(first.values)),
      `${shown(first.values)} again, or an error with the code SOURCE_USED`,
      endOf(second),
    );
  },

  async 'gives nothing after its end'({ make }) {
    const { items } = await sentAfterEnd(make(3));
    must(items === 0, 'no item after the end', counted(items, 'item'));
  },

  async 'ends once'({ make }) {
    const { ends } = await sentAfterEnd(make(3));
    must(ends === 0, 'one completion or error', counted(ends + 1, 'end'));
  },

  async 'gives all of many, on a flat stack'(trial) {
    const { make, maxItems } = trial;
    const depth = new StackMeter();
    const below = new Below();
    below.open();
    let count = 0;
    const seen = watch(make(maxItems).pipe(below.operator), () => {
      count++;
      if ((count & (count - 1)) === 0) depth.look(); // at 1, 2, 4, 8, …
    });
    const rests = !(await whileCounting(seen.ended, () => count));
    seen.subscription.unsubscribe();
    const flat = `a stack that is no deeper after ${counted(maxItems, 'item')}`;
    must(seen.error === undefined, flat, endOf(seen));
    must(depth.growth < 60, flat, `one of ${depth.growth} frames more`);
    const all = count === maxItems && seen.completed;
    const goesOn = !rests && !seen.completed; // it takes long
    must(all || goesOn, `${counted(maxItems, 'item')}, then completion`, endOf(seen));
    mustBeItsItems(trial, seen.values);
  },

  async 'completes when the flow is drained'({ make }) {
    const below = new Below();
    const run = runFlow(make(SOME).pipe(below.operator), {
      onWarning: () => undefined,
      drainTimeoutMs: DRAIN_MS,
    });
    await quiet();
    void run.drain();
    below.open();
    const { end, left, delivered } = await within(run, 2 * DRAIN_MS);
    must(end !== 'aborted', `a run that ends within ${DRAIN_MS} ms`, `it goes on: '${end}' at the timeout`);
    must(left.length === 0, 'nothing to be left over', counted(left.length, 'item'));
    must(
      delivered === below.accepted,
      `${counted(below.accepted, 'item')} that came to be delivered`,
      String(delivered),
    );
  },
};

/** Where a source that fails was given. */
export const failingChecks: Checks<() => Observable<unknown>> = {
  async 'ends with an error where reading fails'(failing) {
    const seen = await ending(failing());
    must(
      seen.error !== undefined && !seen.completed && seen.values.length === 2,
      'two items, then the error',
      endOf(seen),
    );
    mustBeItsItems({ items: undefined }, seen.values);
  },
};
