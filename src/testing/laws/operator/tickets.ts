import { counted } from '../../../counted.ts';
import type { Demand } from '../../../demand/Demand.ts';
import { fromPull } from '../../../demand/fromPull.ts';
import { runFlow, type FlowRun } from '../../../flow/runFlow.ts';
import { must, reason, shown, type Checks } from '../Law.ts';
import { forAWhile, quiet, within } from '../time.ts';
import { numbers } from '../numbers.ts';
import { demandHere, items, keepsChain, Pipeline, Settlements, type OperatorTrial } from './OperatorTrial.ts';

const LOOKS = 4;

/** Enough to fill an operator twice. */
function enough({ limit }: OperatorTrial): number {
  return 12 + 2 * limit;
}

function quietly(pipeline: Pipeline): FlowRun {
  const run = runFlow(pipeline.flow, { onWarning: () => undefined });
  run.catch(() => undefined);
  return run;
}

/** The error that a run ends with, if any. That it does not end by itself is for other laws to find out. */
async function errorOf(run: FlowRun): Promise<unknown> {
  const error = run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  await forAWhile(error);
  void run.abort();
  return within(error);
}

/** What becomes of the items of a source that acknowledges, and of the ledger. */
export const ticketChecks: Checks<OperatorTrial> = {
  async 'keeps the ticket of an item with it'(trial) {
    if (!keepsChain(trial)) return;
    const { source } = new Settlements(trial, enough(trial));
    const pipeline = new Pipeline(trial, source);
    pipeline.below.open();
    const error = await errorOf(quietly(pipeline));
    const code = String((error as { code?: unknown } | undefined)?.code);
    must(!code.startsWith('TICKET'), 'no item to lose its ticket on its way', reason(error));
  },

  async 'has no item acknowledged before its outcome'(trial) {
    if (!keepsChain(trial) || trial.stores) return;
    const settled = new Settlements(trial, enough(trial));
    const pipeline = new Pipeline(trial, settled.source);
    const { below } = pipeline;
    const run = quietly(pipeline);
    for (let look = 0; look < LOOKS; look++) {
      await quiet();
      // What is not acknowledged must be enough for all that is still on its way.
      const open = numbers(pipeline.arrived).filter((item) => !settled.acknowledged.includes(item));
      must(
        trial.outputs(open.map(trial.input)) >=
          trial.outputs(items(trial, pipeline.arrived)) - below.released,
        `an item to be acknowledged when what it became has left the stage below (${below.released} have)`,
        `${counted(settled.acknowledged.length, 'acknowledgement')} of ${counted(pipeline.arrived, 'item')}`,
      );
      below.release();
    }
    void run.abort();
    await errorOf(run);
  },

  async 'has every item settled, once'(trial) {
    if (!keepsChain(trial)) return;
    const count = enough(trial);
    const settled = new Settlements(trial, count);
    const pipeline = new Pipeline(trial, settled.source);
    pipeline.below.open();
    await errorOf(quietly(pipeline));
    await quiet();
    const all = [...settled.acknowledged, ...settled.handedBack].sort((a, b) => a - b);
    const expected = numbers(Math.max(pipeline.arrived, ...all));
    must(shown(all) === shown(expected), `items ${shown(expected)} to be settled`, shown(all));
  },

  async 'hands back what it holds when the flow is stopped'(trial) {
    if (!keepsChain(trial)) return;
    const settled = new Settlements(trial, enough(trial));
    const pipeline = new Pipeline(trial, settled.source);
    const run = quietly(pipeline);
    await quiet();
    const before = settled.acknowledged.length + settled.handedBack.length;
    void run.abort();
    await errorOf(run);
    await quiet();
    const held = pipeline.arrived - before;
    const back = settled.handedBack.length + (trial.stores ? settled.acknowledged.length - before : 0);
    must(
      back >= held,
      `${counted(held, 'item')} that had no outcome to be handed back`,
      `${back} handed back, ${settled.acknowledged.length - before} acknowledged`,
    );
  },

  async 'keeps its ledger'(trial) {
    if (!keepsChain(trial)) return;
    let demand: Demand | undefined;
    const probe = demandHere((found) => {
      demand = found;
    });
    const pipeline = new Pipeline(trial, fromPull(items(trial, enough(trial))).pipe(probe));
    const run = quietly(pipeline);
    for (let look = 0; look < LOOKS; look++) {
      await quiet();
      const stage = run.report().stages.find(({ name }) => name === demand?.owner?.name);
      must(
        stage === undefined || stage.held === demand?.held,
        'in = out + rejected + dropped + dead + held',
        `${shown(stage)}, and it holds ${demand?.held ?? 0}`,
      );
      pipeline.below.release();
    }
    pipeline.below.open();
    await errorOf(run);
    const { end, stages } = run.report();
    const left = end === 'completed' ? stages.find(({ held }) => held !== 0) : undefined;
    must(left === undefined, 'nothing to be held after the end', shown(left));
  },
};
