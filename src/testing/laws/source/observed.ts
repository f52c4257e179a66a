import { counted } from '../../../counted.ts';
import { take } from 'rxjs';
import { runFlow } from '../../../flow/runFlow.ts';
import { Below } from '../Below.ts';
import { ending } from '../ending.ts';
import { must, type Checks } from '../Law.ts';
import type { ObservedSource } from '../sourceLaws.ts';
import { quiet, within } from '../time.ts';
import { DRAIN_MS, slowly, SOME } from './SourceTrial.ts';

type Observed = (count: number) => ObservedSource<unknown>;

/** Where it was given over something that is watched. */
export const observedChecks: Checks<Observed> = {
  async 'reads nothing before it is subscribed to'(observed) {
    const { source, pulled } = observed(SOME);
    await quiet();
    const before = pulled();
    slowly(source).seen.subscription.unsubscribe();
    must(before === 0, 'nothing to be read', counted(before, 'item'));
  },

  async 'closes what it reads at once when it is left'(observed) {
    for (const looks of [0, 1]) {
      const { source, closed } = observed(SOME);
      const { seen, below } = slowly(source);
      for (let look = 0; look < looks; look++) {
        await quiet();
        below.release();
      }
      seen.subscription.unsubscribe();
      must(closed() === 1, 'what it reads to be closed, once', `closed ${closed()} times`);
      await quiet();
      must(closed() === 1, 'what it reads to be closed, once', `closed ${closed()} times`);
    }
  },

  async 'stops reading when it is left while it gives an item'(observed) {
    const { source, pulled } = observed(SOME);
    const seen = await ending(source.pipe(take(2)));
    await quiet();
    must(
      seen.completed && pulled() <= 3,
      'at most 3 items read for one who takes two',
      counted(pulled(), 'item'),
    );
  },
};

/** The same, where it waits. */
export const waitingObservedChecks: Checks<Observed> = {
  async 'reads one item more than there is room for, at most'(observed) {
    const { source, pulled } = observed(SOME);
    const { below, seen } = slowly(source);
    for (let room = 1; room <= 3; room++) {
      await quiet();
      must(
        pulled() <= room + 1,
        `at most ${room + 1} items read, with ${counted(below.released, 'item')} gone and one place below`,
        counted(pulled(), 'item'),
      );
      below.release();
    }
    seen.subscription.unsubscribe();
  },

  async 'gives what it has in hand when the flow is drained'(observed) {
    const { source, pulled } = observed(SOME);
    const below = new Below();
    const run = runFlow(source.pipe(below.operator), {
      onWarning: () => undefined,
      drainTimeoutMs: DRAIN_MS,
    });
    await quiet();
    below.release();
    await quiet();
    void run.drain();
    below.open();
    await within(run, 2 * DRAIN_MS);
    const { delivered } = run.report();
    must(delivered === pulled(), `${counted(pulled(), 'item')} that were read`, counted(delivered, 'item'));
  },
};
