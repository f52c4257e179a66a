import { version } from 'rxjs/package.json';
import { afterAll, describe, expect, test } from 'vitest';
import { operatorLaws } from '../../src/testing/laws/index.ts';
import { without, type Kernel } from '../contract/law.ts';
import { cases } from '../contract/operators.ts';
import { mutant, removeMutants, sabotaged, type Sabotage } from '../support/mutant.ts';
import { broken } from './verdict.ts';

const STAGE = 'src/demand/Stage.ts';
const POOL = 'src/work/PoolStage.ts';
const BATCH = 'operators/batch.ts';

/** Changes in our own operators, and the law that finds each. */
const sabotages: Record<string, readonly Sabotage[]> = {
  'does nothing before it is subscribed to': [
    without(
      'operators/boundedQueue.ts',
      '  return (source) =>\n',
      '  return (source) => source.subscribe() &&\n',
    ),
  ],
  'gives what it took in, then completes': [
    without(STAGE, 'this.inputDone && this.idle()) this.#finish();', 'false) this.#end();'),
    without('src/rx/Inlet.ts', 'this.#receiver.inputEnded();', 'void this;'),
  ],
  'passes the error of its source on, after what it took in': [
    without(STAGE, 'if (this.#failure) this.out.error(this.#failure.error);\n    else', 'this.#failure;'),
    without(
      STAGE,
      '    if (this.run?.abortsOnError) this.run.fail(error);\n    else this.inputEnded();',
      '    this.#end();',
    ),
  ],
  'gives each subscription its own state': [
    without(
      BATCH,
      '  #values: T[] = [];',
      '  get #values(): T[] { return ((globalThis as any).sharedBatch ??= []); }',
    ),
  ],
  'leaves its source at once when it is left': [
    without('src/rx/link.ts', 'super(destination as Subscriber<never>);', 'super();'),
  ],
  'errors when its callback throws, and leaves its source': [
    without('src/rx/link.ts', '      this.#below.error(error);\n', ''),
    without(POOL, '      this.#fail(job, error);\n      return false;', '      return false;'),
    without(BATCH, '      this.leave(value, ticket, error);\n      this.fail(error);\n', ''),
    without('operators/filterOr.ts', 'this.#rejected?.tell(job.value);'),
  ],
  'holds no more than its limit': [
    without(
      POOL,
      'super(identity, subscriber, settings.concurrency + settings.maxWaiting);',
      'super(identity, subscriber, settings.concurrency + settings.maxWaiting + 1);',
    ),
  ],
  'gives nothing while those below have no room': [
    without('src/demand/Outlet.ts', 'if (demand.open && (', 'if (('),
  ],
  'keeps its ledger': [without('operators/filterOr.ts', '      meter.rejected++;')],
};

afterAll(removeMutants);

/** Whether the law does not hold for one of our operators at least. */
async function finds(says: string, twin: Kernel): Promise<boolean> {
  for (const [name, { make, throwing, operator: _, ...said }] of Object.entries(cases)) {
    const options = { ...said, ...(throwing ? { throwing: () => throwing(twin) } : {}) };
    const laws = operatorLaws(name, () => make(twin), options).filter((law) => law.says === says);
    if ((await broken(laws)).length > 0) return true;
  }
  return false;
}

test('every change still has its place in the source', async () => {
  for (const sabotage of Object.values(sabotages).flat()) {
    expect(await sabotaged(sabotage)).toContain(sabotage.replace);
  }
});

// Twins run once, on the RxJS that they are bundled with.
if (version !== '7.8.0') {
  describe('a twin of our operators that breaks a rule is found out', () => {
    for (const [says, changes] of Object.entries(sabotages)) {
      for (const sabotage of changes) {
        test(`${says} — not without ${sabotage.find.trim()}`, async () => {
          expect(await finds(says, await mutant<Kernel>('test/contract/kernel.ts', sabotage))).toBe(true);
        });
      }
    }
  });
}
