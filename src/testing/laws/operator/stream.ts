import { concat, NEVER, Observable, Subject, take } from 'rxjs';
import { fromPull } from '../../../demand/fromPull.ts';
import { sentAfterEnd } from '../ending.ts';
import { counted, must, shown, type Checks } from '../Law.ts';
import { StackMeter } from '../StackMeter.ts';
import { advance, quiet, timersLeft } from '../time.ts';
import { watch } from '../watch.ts';
import { completing, ended, ending, endless, items, oneByOne, type OperatorTrial } from './OperatorTrial.ts';

const MANY = 100_000;

/** What holds for every operator of RxJS. */
export const streamChecks: Checks<OperatorTrial> = {
  async 'does nothing before it is subscribed to'(trial) {
    let subscriptions = 0;
    const source = new Observable(() => {
      subscriptions++;
    });
    const flow = trial.make()(source);
    await quiet();
    const before = subscriptions;
    watch(flow).subscription.unsubscribe();
    must(before === 0, 'no subscription to the source', counted(before, 'subscription'));
  },

  async 'gives what it took in, then completes'(trial) {
    for (const count of [0, 1, 3, 10]) {
      const input = items(trial, count);
      const { values } = await completing(trial.make()(fromPull(input)));
      const expected = trial.outputs(input);
      must(
        values.length === expected,
        `${counted(expected, 'value')} of ${counted(count, 'item')}`,
        `${counted(values.length, 'value')}, then completion`,
      );
    }
  },

  async 'stays open while its source does'(trial) {
    const streams = {
      'a silent source': NEVER,
      'a source that falls silent': concat(fromPull(items(trial, 3)), NEVER),
    };
    for (const [what, source] of Object.entries(streams)) {
      const seen = watch(trial.make()(source));
      await advance(60_000);
      seen.subscription.unsubscribe();
      const end = seen.completed ? 'completion' : `the error ${String(seen.error)}`;
      must(!seen.completed && seen.error === undefined, `no end under ${what}`, end);
    }
  },

  async 'passes the error of its source on, after what it took in'(trial) {
    const error = new Error('of the source');
    const whole = await completing(trial.make()(fromPull(items(trial, 5))));
    const broken = function* (): Generator {
      yield* items(trial, 5);
      throw error;
    };
    const seen = await ending(trial.make()(fromPull(broken)));
    must(
      seen.error === error,
      'the very error of the source',
      seen.completed ? 'completion' : String(seen.error),
    );
    must(
      seen.values.length >= whole.values.length,
      `${counted(whole.values.length, 'value')} before the error, as before completion`,
      counted(seen.values.length, 'value'),
    );
  },

  async 'gives each subscription its own state'(trial) {
    const flow = trial.make()(fromPull(() => oneByOne(items(trial, 7))));
    const both = [watch(flow), watch(flow)];
    for (const seen of both) await ended(seen);
    const alone = await ending(flow);
    for (const { values, completed } of both) {
      must(
        shown(values) === shown(alone.values) && completed === alone.completed,
        `${shown(alone.values)} for each of two subscribers at once, as for one alone`,
        shown(values),
      );
    }
  },

  async 'leaves its source at once when it is left'(trial) {
    for (const count of [0, 1]) {
      const source = new Subject<unknown>();
      const seen = watch(trial.make()(source));
      for (const item of items(trial, count)) source.next(item);
      const before = seen.values.length;
      seen.subscription.unsubscribe();
      must(!source.observed, 'no subscription to the source', 'one that lives on');
      await quiet();
      must(seen.values.length === before, 'nothing more', counted(seen.values.length - before, 'value'));
    }
  },

  async 'stops a synchronous source when those below leave'(trial) {
    const pulled = { count: 0 };
    const enough = 20 + 4 * trial.limit;
    const seen = await ending(
      trial
        .make()(fromPull(() => endless(trial, pulled)))
        .pipe(take(2)),
    );
    const came = seen.completed ? counted(pulled.count, 'item') : String(seen.error);
    must(seen.completed && pulled.count <= enough, `fewer than ${enough} items pulled for two values`, came);
  },

  async 'gives nothing after its end'(trial) {
    for (const make of makers(trial)) {
      const { items: late } = await sentAfterEnd(make()(fromPull(items(trial, 4))));
      must(late === 0, 'no value after the end', counted(late, 'value'));
    }
  },

  async 'ends once'(trial) {
    for (const make of makers(trial)) {
      const { ends } = await sentAfterEnd(make()(fromPull(items(trial, 4))));
      must(ends === 0, 'one completion or error', counted(ends + 1, 'end'));
    }
  },

  async 'keeps the stack flat'(trial) {
    const depth = new StackMeter();
    const input = items(trial, MANY);
    const every = Math.ceil(trial.outputs(input) / 10);
    let count = 0;
    const seen = watch(trial.make()(fromPull(input)), () => {
      if (count++ % every === 0) depth.look();
    });
    await ended(seen);
    const limit = `a stack that is no deeper after ${MANY} synchronous items`;
    must(seen.completed, limit, `the error ${String(seen.error)}`);
    must(depth.growth < 60, limit, `one of ${depth.growth} frames more`);
  },
};

/** Where time is virtual. */
export const timerChecks: Checks<OperatorTrial> = {
  async 'leaves no timer behind'(trial) {
    const source = new Subject<unknown>();
    const seen = watch(trial.make()(source));
    for (const item of items(trial, 1)) source.next(item);
    seen.subscription.unsubscribe();
    await quiet();
    const left = timersLeft() ?? 0;
    must(left === 0, 'no timer a second after it was left', counted(left, 'timer'));
  },
};

/** Where an operator with a callback that throws was given. */
export const throwingChecks: Checks<OperatorTrial> = {
  async 'errors when its callback throws, and leaves its source'(trial) {
    let closed = 0;
    const input = {
      [Symbol.iterator]: () => {
        const all = endless(trial, { count: 0 });
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
    await ended(seen);
    const end = seen.completed ? 'completion' : String(seen.error);
    must(!seen.completed && !end.includes('nothing stops'), 'the error of the callback', end);
    must(closed === 1, 'its source to be closed, once', `closed ${closed} times`);
  },
};

function makers({ make, throwing }: OperatorTrial): OperatorTrial['make'][] {
  return throwing ? [make, throwing] : [make];
}
