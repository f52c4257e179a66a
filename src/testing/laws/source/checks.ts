import { take, type Observable } from 'rxjs';
import { runFlow } from '../../../flow/runFlow.ts';
import { Below } from '../Below.ts';
import { ending, sentAfterEnd } from '../ending.ts';
import { counted, must, reason, shown, type Checks } from '../Law.ts';
import type { ObservedSource } from '../sourceLaws.ts';
import { StackMeter } from '../StackMeter.ts';
import { forAWhile, quiet, within } from '../time.ts';
import { watch, type Watched } from '../watch.ts';

/** How the source that is checked is made, and how large it can be. */
interface SourceTrial {
  readonly make: (count: number) => Observable<unknown>;
  readonly maxItems: number;
}

type Observed = (count: number) => ObservedSource<unknown>;

/** Items of a source that is looked at for a while. */
const SOME = 20;
/** Milliseconds in which a flow must have drained. */
const DRAIN_MS = 10_000;

function endOf({ completed, error, values }: Watched<unknown>): string {
  const end = completed ? 'completion' : error === undefined ? 'no end' : reason(error);
  return `${counted(values.length, 'item')}, then ${end}`;
}

/** A source above a stage with one place. */
function slowly(source: Observable<unknown>): {
  readonly below: Below<unknown>;
  readonly seen: Watched<unknown>;
} {
  const below = new Below();
  return { below, seen: watch(source.pipe(below.operator)) };
}

/** What holds for every source. */
export const streamChecks: Checks<SourceTrial> = {
  async 'gives its items, then completes'({ make }) {
    for (const count of [0, 1, 3, SOME]) {
      const seen = await ending(make(count).pipe(take(count + 1)));
      must(
        seen.completed && seen.values.length === count,
        `${counted(count, 'item')}, then completion`,
        endOf(seen),
      );
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

  async 'keeps the stack flat'({ make, maxItems }) {
    const depth = new StackMeter();
    const below = new Below();
    below.open();
    let count = 0;
    const seen = watch(make(maxItems).pipe(below.operator), () => {
      count++;
      if ((count & (count - 1)) === 0) depth.look(); // at 1, 2, 4, 8, …
    });
    await forAWhile(seen.ended);
    const flat = `a stack that is no deeper after ${counted(maxItems, 'item')}`;
    must(seen.error === undefined, flat, endOf(seen));
    must(depth.growth < 60, flat, `one of ${depth.growth} frames more`);
    seen.subscription.unsubscribe();
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
  },
};

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

/** How a source waits. */
export const demandChecks: Checks<SourceTrial> = {
  async 'gives nothing while those below have no room'({ make }) {
    const { below, seen } = slowly(make(SOME));
    for (let room = 1; room <= 3; room++) {
      await quiet();
      must(below.most <= 1, 'a stage below with one place to hold 1 at most', `${below.most} in it`);
      below.release();
    }
    seen.subscription.unsubscribe();
  },

  async 'goes on when those below have room again'({ make }) {
    const { below, seen } = slowly(make(SOME));
    for (let room = 0; room < SOME; room++) {
      await quiet();
      below.release();
    }
    await quiet();
    must(seen.values.length === SOME, `${SOME} items, one for each time that there was room`, endOf(seen));
    seen.subscription.unsubscribe();
  },
};

/** The same, seen from what it reads. */
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
