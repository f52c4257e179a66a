import { counted } from '../../../counted.ts';
import { EMPTY, from, map, of } from 'rxjs';
import { batch } from '../../../../operators/batch.ts';
import { broadcast } from '../../../../operators/broadcast.ts';
import { filterOr } from '../../../../operators/filterOr.ts';
import { poolMap } from '../../../../operators/poolMap.ts';
import { storeTo } from '../../../../operators/storeTo.ts';
import { runFlow } from '../../../flow/runFlow.ts';
import { delays } from '../../../retry/RetryPolicy.ts';
import type { Sink } from '../../../work/Sink.ts';
import { must, reason, shown, type Checks } from '../Law.ts';
import { numbers } from '../numbers.ts';
import { quiet, within } from '../time.ts';
import { gate } from '../watch.ts';
import {
  AcknowledgedNumbers,
  MANY,
  mustBeStored,
  over,
  Refused,
  type DeliveryTrial,
  type ObservedSink,
} from './DeliveryTrial.ts';

const BATCH = 5;
/** That of `storeTo` by default. */
const LARGE = 500;
const patience = /* @__PURE__ */ (() => delays(numbers(12).map(() => 1)))();
const settings = { maxItems: BATCH, maxWaitMs: 5, retry: patience };
const silent = { onWarning: () => undefined };
/** Milliseconds in which a flow must have ended. */
const END_MS = 20_000;

function storing({ input }: DeliveryTrial, sink: Sink<unknown>, maxItems = BATCH) {
  const items = map((number: number) => input(number));
  return (source: AcknowledgedNumbers['source']) =>
    source.pipe(items, storeTo(sink, { ...settings, maxItems }));
}

/** Refuses a batch where `refuses` says so of one of its items, before it is stored. */
function refusing({ sink }: ObservedSink<unknown>, refuses: (item: unknown) => boolean): Sink<unknown> {
  return over(sink, async (items, context) => {
    if (items.filter(refuses).length > 0) throw new Refused('not now');
    await sink.store(items, context);
  });
}

/** True for each tenth item, the first time that it comes. */
function tenthsOnce({ key, input }: DeliveryTrial): (item: unknown) => boolean {
  const once = new Set(numbers(MANY / 10).map((tenth) => shown(key(input(tenth * 10)))));
  return (item) => once.delete(shown(key(item)));
}

/** What holds for every sink at the end of an acknowledged flow. */
export const deliveryChecks: Checks<DeliveryTrial> = {
  async 'loses nothing where every tenth item is refused the first time'(trial) {
    for (const [count, maxItems] of [
      [MANY, BATCH],
      [LARGE + BATCH, LARGE],
    ] as const) {
      const target = await trial.make();
      const items = new AcknowledgedNumbers(count);
      const sink = refusing(target, tenthsOnce(trial));
      await within(runFlow(items.source.pipe(storing(trial, sink, maxItems)), silent), END_MS);
      items.mustAllBeAcknowledged(count);
      await mustBeStored(trial, target, numbers(count));
    }
  },

  async 'loses nothing where the answer is lost after storing'(trial) {
    const target = await trial.make();
    const lost = tenthsOnce(trial);
    const unheard = over(target.sink, async (batch, context) => {
      await target.sink.store(batch, context);
      if (batch.filter(lost).length > 0) throw new Refused('the answer was lost');
    });
    const items = new AcknowledgedNumbers();
    await within(runFlow(items.source.pipe(storing(trial, unheard)), silent), END_MS);
    items.mustAllBeAcknowledged();
    await mustBeStored(trial, target, numbers(MANY));
  },

  async 'acknowledges nothing that is not stored'(trial) {
    const target = await trial.make();
    const safe = new Set<string>();
    const noting = over(target.sink, async (batch, context) => {
      await target.sink.store(batch, context);
      const stored = (await target.stored()).map(shown);
      for (const key of stored) safe.add(key);
    });
    const items = new AcknowledgedNumbers();
    const early: number[] = [];
    items.onAcknowledged = (number) => {
      if (!safe.has(shown(trial.key(trial.input(number))))) early.push(number);
    };
    await within(runFlow(items.source.pipe(storing(trial, noting)), silent), END_MS);
    must(early.length === 0, 'items to be stored when they are acknowledged', `${shown(early)} were not`);
    items.mustAllBeAcknowledged();
  },

  async 'stops at its bound while nothing is confirmed, and goes on'(trial) {
    const target = await trial.make();
    const { promise, open } = gate();
    const waiting = over(target.sink, async (batch, context) => {
      await promise;
      await target.sink.store(batch, context);
    });
    const items = new AcknowledgedNumbers();
    const run = runFlow(items.source.pipe(storing(trial, waiting)), silent);
    await quiet();
    const { pulled } = items;
    const early = items.acknowledged.length;
    open();
    await within(run, END_MS);
    must(pulled <= 2 * BATCH + 1, `at most ${2 * BATCH + 1} items read meanwhile`, counted(pulled, 'item'));
    must(early === 0, 'nothing to be acknowledged meanwhile', counted(early, 'item'));
    items.mustAllBeAcknowledged();
    await mustBeStored(trial, target, numbers(MANY));
  },

  async 'acknowledges an item of three sinks when all have it'(trial) {
    const targets = [await trial.make(), await trial.make(), await trial.make()];
    const have = targets.map(() => new Set<string>());
    const branches = targets.map((target, i) => {
      const faulty = over(target.sink, async (batch, context) => {
        if (
          fails(
            batch.map((item) => trial.key(item)),
            context.attempt,
            [25, 10, 1][i] ?? 0,
          )
        )
          throw new Refused();
        await target.sink.store(batch, context);
        for (const item of batch) have[i]?.add(shown(trial.key(item)));
      });
      return storeTo<unknown>(faulty, { ...settings, name: `sink ${i}` });
    });
    const items = new AcknowledgedNumbers();
    const early: number[] = [];
    items.onAcknowledged = (number) => {
      const key = shown(trial.key(trial.input(number)));
      if (!have.every((keys) => keys.has(key))) early.push(number);
    };
    const flow = items.source.pipe(map(trial.input), broadcast(branches));
    await within(runFlow(flow, silent), END_MS);
    must(
      early.length === 0,
      'an item to be acknowledged when all three have it',
      `${shown(early)} were before`,
    );
    items.mustAllBeAcknowledged();
    for (const target of targets) await mustBeStored(trial, target, numbers(MANY));
  },

  async 'hands an item back where one sink of three fails for good'(trial) {
    const targets = [await trial.make(), await trial.make(), await trial.make()];
    const fatal = new Error('for good');
    const bad = shown(trial.key(trial.input(7)));
    const broken = over(targets[2]!.sink, async (batch, context) => {
      if (batch.some((item) => shown(trial.key(item)) === bad)) throw fatal;
      await targets[2]!.sink.store(batch, context);
    });
    broken.classify = (error) => (error === fatal ? 'fatal' : 'retry');
    const branches = [targets[0]!.sink, targets[1]!.sink, broken].map((sink, i) =>
      storeTo(sink, { ...settings, name: `sink ${i}` }),
    );
    const items = new AcknowledgedNumbers();
    const ended = runFlow(items.source.pipe(map(trial.input), broadcast(branches)), silent).catch(
      (error: unknown) => error,
    );
    const error = await within(ended, END_MS);
    must(error === fatal, 'the flow to end with that error', reason(error));
    must(
      items.handedBack.includes(7) && !items.acknowledged.includes(7),
      'the item to be handed back, though two sinks have it',
      `${shown(items.handedBack)} handed back, ${shown(items.acknowledged)} acknowledged`,
    );
  },

  async 'settles what is filtered, split, merged or comes to nothing'(trial) {
    const target = await trial.make();
    const items = new AcknowledgedNumbers();
    const flow = items.source.pipe(
      filterOr((number) => number % 4 !== 0),
      poolMap((number) => (number % 4 === 1 ? EMPTY : of(2 * number, 2 * number + 1)), { concurrency: 3 }),
      batch({ maxItems: 4 }),
      poolMap((few) => from([Math.min(...few), Math.max(...few)]), { concurrency: 1 }),
      map(trial.input),
      storeTo(target.sink, settings),
    );
    const { leftOver } = await within(runFlow(flow, silent), END_MS);
    must(leftOver === 0, 'nothing to be left over', counted(leftOver, 'item'));
    items.mustAllBeAcknowledged();
    // What is left of an item and its neighbour: 2, 3, 6, 7 → the parts 4, 5, 6, 7 → the first and last of them.
    const kept = numbers(MANY).filter((number) => number % 4 > 1);
    const pairs = kept
      .filter((_, i) => i % 2 === 0)
      .map((number, i) => [number, kept[2 * i + 1] ?? 0] as const);
    await mustBeStored(
      trial,
      target,
      pairs.flatMap(([first, last]) => [2 * first, 2 * last + 1]),
    );
  },
};

/** By chance, but the same each time: how many in a hundred of these batches fail. */
function fails(keys: readonly unknown[], attempt: number, percent: number): boolean {
  let hash = attempt * 7_919;
  for (const letter of shown(keys)) hash = (hash * 31 + letter.charCodeAt(0)) % 1_000_003;
  return hash % 100 < percent;
}

/** Where its connection can be cut. */
export const cutChecks: Checks<DeliveryTrial> = {
  async 'loses nothing where its connection is cut'(trial) {
    const target = await trial.make();
    const cuts = tenthsOnce(trial);
    const cutOff = over(target.sink, async (batch, context) => {
      const storing = target.sink.store(batch, context);
      storing.catch(() => undefined); // it may fail before the cut is done
      if (batch.filter(cuts).length > 0) await trial.cut?.();
      await storing;
    });
    const items = new AcknowledgedNumbers();
    await within(runFlow(items.source.pipe(storing(trial, cutOff)), silent), END_MS);
    items.mustAllBeAcknowledged();
    await mustBeStored(trial, target, numbers(MANY));
  },
};
