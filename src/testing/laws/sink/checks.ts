import { counted } from '../../../counted.ts';
import { must, reason, shown, type Checks } from '../Law.ts';
import { quiet } from '../time.ts';
import { closed, mustStore, settled, store, told } from './calls.ts';
import { batchOf, countOf, mustHold, type SinkTrial } from './SinkTrial.ts';

/** More than `storeTo` has in a batch by default. */
const LARGE = 1_000;
const KINDS: readonly unknown[] = ['retry', 'data', 'fatal'];

/** What holds for every sink. */
export const sinkChecks: Checks<SinkTrial> = {
  async 'leaves the batch as it was'(trial) {
    const sink = await trial.make();
    const items = batchOf(trial, 5).reverse();
    const copy = [...items];
    const before = shown(items);
    await settled(store(sink, items));
    await closed(sink);
    const same = items.length === copy.length && items.every((item, i) => item === copy[i]);
    must(same && shown(items) === before, before, shown(items));
  },

  async 'settles when its signal is aborted'(trial) {
    for (const when of ['before', 'meanwhile', 'a little later']) {
      const sink = await trial.make();
      const controller = new AbortController();
      if (when === 'before') controller.abort();
      const call = store(sink, batchOf(trial, 5), controller.signal);
      call.catch(() => undefined);
      if (when === 'a little later') await Promise.resolve();
      controller.abort();
      const result = await settled(call);
      await closed(sink);
      must(result.how !== 'pending', `it to settle, aborted ${when}`, told(result));
    }
  },

  async 'says retry, data or fatal of any error'(trial) {
    const sink = await trial.make();
    try {
      for (const error of [new Error('unknown'), new TypeError('unknown'), 'text', undefined, null]) {
        const kind: unknown = sink.classify ? sink.classify(error) : 'retry';
        must(KINDS.includes(kind), "'retry', 'data' or 'fatal'", `${shown(kind)} of ${reason(error)}`);
      }
    } finally {
      await closed(sink);
    }
  },

  async 'closes, also twice'(trial) {
    const sink = await trial.make();
    await settled(store(sink, batchOf(trial, 2)));
    for (const time of ['first', 'second']) {
      const result = await settled(sink.close?.());
      must(result.how === 'stored', `the ${time} close to resolve`, told(result));
    }
  },
};

/** Where it can be seen what is stored. */
export const storedChecks: Checks<SinkTrial> = {
  async 'has stored every item when it resolves'(trial) {
    for (const count of [1, 2, LARGE]) {
      const sink = await trial.make();
      await mustStore(sink, batchOf(trial, count));
      const stored = await trial.stored();
      await closed(sink);
      mustHold(trial, stored, batchOf(trial, count));
    }
  },

  async 'stores four batches at once'(trial) {
    const sink = await trial.make();
    const firsts = [1, 11, 21, 31];
    const calls = firsts.map((first) => store(sink, batchOf(trial, 10, first)));
    const results = await Promise.all(calls.map(settled));
    const stored = await trial.stored();
    await closed(sink);
    const what = '40 items of four batches to be stored';
    must(
      results.every(({ how }) => how === 'stored'),
      what,
      results.map(told).join(', '),
    );
    mustHold(trial, stored, batchOf(trial, 40), what);
  },

  async 'stores nothing when it is told to stop before it begins'(trial) {
    const sink = await trial.make();
    const result = await settled(store(sink, batchOf(trial, 5), AbortSignal.abort()));
    await quiet();
    const stored = countOf(await trial.stored());
    await closed(sink);
    must(
      result.how === 'pending' || stored === (result.how === 'refused' ? 0 : 5),
      'a batch to be refused and not stored, or stored where the signal is ignored',
      `${told(result)}, with ${counted(stored, 'item')} stored`,
    );
  },

  async 'stores or refuses what comes after it was closed'(trial) {
    const sink = await trial.make();
    await closed(sink);
    const result = await settled(store(sink, batchOf(trial, 3)));
    await quiet();
    const stored = countOf(await trial.stored());
    await closed(sink); // it may have opened again
    const honest = result.how === 'stored' ? stored === 3 : result.how === 'refused';
    must(
      honest,
      '3 items to be stored, or an error',
      `${told(result)}, with ${counted(stored, 'item')} stored`,
    );
  },
};

/** Where an item that cannot be stored was given. */
export const badChecks: Checks<SinkTrial> = {
  async 'refuses a batch with an item that it cannot store'(trial) {
    const sink = await trial.make();
    const result = await settled(store(sink, [...batchOf(trial, 2), trial.bad()]));
    await closed(sink);
    must(result.how === 'refused', 'it to reject', told(result));
  },

  async 'says data of the error of a bad item'(trial) {
    const sink = await trial.make();
    const result = await settled(store(sink, [trial.bad()]));
    const kind: unknown = result.how === 'refused' ? (sink.classify?.(result.error) ?? 'retry') : 'data';
    await closed(sink);
    must(
      kind === 'data',
      "'data', so that storeTo looks for the bad item and stores the others",
      `${shown(kind)} of ${reason(result.error)}`,
    );
  },
};

/** Where it knows items by a key. */
export const keyedChecks: Checks<SinkTrial> = {
  async 'stores a batch again without doubling it'(trial) {
    const sink = await trial.make();
    const items = batchOf(trial, 5);
    await mustStore(sink, items);
    await mustStore(sink, items);
    const stored = await trial.stored();
    await closed(sink);
    mustHold(trial, stored, items, '5 items after storing them twice');
  },
};
