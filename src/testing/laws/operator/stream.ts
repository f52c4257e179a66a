import { counted } from '../../../counted.ts';
import { concat, merge, NEVER, Observable, Subject, take } from 'rxjs';
import { fromPull } from '../../../demand/fromPull.ts';
import { unlike } from '../contents.ts';
import { ending, sentAfterEnd } from '../ending.ts';
import { must, reason, shown, type Checks } from '../Law.ts';
import { forAWhile, quiet } from '../time.ts';
import { watch } from '../watch.ts';
import { oneByOne } from '../numbers.ts';
import {
  endless,
  items,
  keepsChain,
  mustBeWhole,
  Pipeline,
  valuesOf,
  type OperatorTrial,
} from './OperatorTrial.ts';

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
      const seen = await ending(trial.make()(fromPull(input)));
      const expected = trial.outputs(input);
      const end = seen.completed
        ? 'completion'
        : seen.error === undefined
          ? 'no end'
          : `the error ${reason(seen.error)}`;
      must(
        seen.completed && seen.values.length === expected,
        `${counted(expected, 'value')} of ${counted(count, 'item')}, then completion`,
        `${counted(seen.values.length, 'value')}, then ${end}`,
      );
      const values = await valuesOf(trial, input);
      const other = values && unlike(values, seen.values);
      must(
        other === undefined,
        trial.said
          ? 'the values of `outputs`'
          : 'what each item gives alone (where it is other, say `outputs`)',
        `${shown(seen.values)}: ${other ?? ''}`,
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
      await quiet(60_000);
      seen.subscription.unsubscribe();
      const end = seen.completed ? 'completion' : `the error ${reason(seen.error)}`;
      must(!seen.completed && seen.error === undefined, `no end under ${what}`, end);
    }
  },

  async 'passes the error of its source on, after what it took in'(trial) {
    const error = new Error('of the source');
    // Behind a slow stage it comes while the operator holds what it can.
    for (const slow of keepsChain(trial) ? [false, true] : [false]) {
      const trouble = new Subject<never>();
      const pipeline = new Pipeline(trial, merge(fromPull(items(trial, 5)), trouble));
      if (!slow) pipeline.below.open();
      const seen = watch(pipeline.flow);
      await quiet();
      trouble.error(error);
      await quiet();
      pipeline.below.open();
      await forAWhile(seen.ended);
      const end = seen.completed ? 'completion' : seen.error === undefined ? 'no end' : reason(seen.error);
      if (slow && end === 'no end') continue; // stuck: found out by another law
      must(seen.error === error, 'the very error of the source', end);
      const { values } = await ending(trial.make()(fromPull(items(trial, pipeline.arrived))));
      const where = ` of ${counted(pipeline.arrived, 'item')} before the error`;
      mustBeWhole(trial, values, seen.values, where);
    }
  },

  async 'gives each subscription its own state'(trial) {
    const flow = trial.make()(fromPull(() => oneByOne(items(trial, 7))));
    const both = [watch(flow), watch(flow)];
    for (const seen of both) await forAWhile(seen.ended);
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
    const values = trial.make()(fromPull(() => endless(trial, pulled, enough + 1)));
    await ending(values.pipe(take(2)));
    must(pulled.count <= enough, `at most ${enough} items pulled for two values`, `${pulled.count} or more`);
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
};

function makers({ make, throwing }: OperatorTrial): OperatorTrial['make'][] {
  return throwing ? [make, throwing] : [make];
}
