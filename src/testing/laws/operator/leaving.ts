import { counted } from '../../../counted.ts';
import { Subject, type Subscription } from 'rxjs';
import { fromPull } from '../../../demand/fromPull.ts';
import { must, type Checks } from '../Law.ts';
import { forAWhile, quiet, timersLeft } from '../time.ts';
import { watch } from '../watch.ts';
import { endless, items, type OperatorTrial } from './OperatorTrial.ts';

const ends: Record<string, (source: Subject<unknown>, subscription: Subscription) => void> = {
  'it was left': (_, subscription) => {
    subscription.unsubscribe();
  },
  'it completed': (source) => {
    source.complete();
  },
  'it failed': (source) => {
    source.error(new Error('of the source'));
  },
};

/** Where time is virtual. */
export const timerChecks: Checks<OperatorTrial> = {
  async 'leaves no timer behind'(trial) {
    for (const [how, end] of Object.entries(ends)) {
      const source = new Subject<unknown>();
      const seen = watch(trial.make()(source));
      for (const item of items(trial, 1)) source.next(item);
      end(source, seen.subscription);
      if (how !== 'it was left') await forAWhile(seen.ended);
      await quiet();
      seen.subscription.unsubscribe(); // of one that does not end: found out by another law
      const left = timersLeft() ?? 0;
      must(left === 0, `no timer a second after ${how}`, counted(left, 'timer'));
    }
  },
};

/** Where an operator with a callback that throws was given. */
export const throwingChecks: Checks<OperatorTrial> = {
  async 'errors when its callback throws, and leaves its source'(trial) {
    let closed = 0;
    const input = {
      [Symbol.iterator]: () => {
        const all = endless(trial, { count: 0 }, 100);
        return {
          next: () => all.next(),
          return: () => {
            closed++;
            return all.return();
          },
        };
      },
    };
    const seen = watch((trial.throwing ?? trial.make)()(fromPull(input)));
    await forAWhile(seen.ended);
    const end = seen.completed ? 'completion' : 'no end';
    must(seen.error !== undefined, 'the error of the callback', end);
    must(closed === 1, 'its source to be closed, once', `closed ${closed} times`);
  },
};
