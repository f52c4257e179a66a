import { counted } from '../../../counted.ts';
import { fromPull } from '../../../demand/fromPull.ts';
import { few, lacking } from '../contents.ts';
import { must, reason, type Checks } from '../Law.ts';
import { numbers } from '../numbers.ts';
import { StackMeter } from '../StackMeter.ts';
import { realNow, whileCounting } from '../time.ts';
import { watch } from '../watch.ts';
import { items, valuesOf, type OperatorTrial } from './OperatorTrial.ts';

const MANY = 100_000;
/** Items that `outputs` is asked about at once, whatever it costs. */
const COUNTED = 10_000;
/** Of many items, so many are looked at, in no regular order. */
const SAMPLES = 100;
const STRIDE = 7_919;
/** Real milliseconds that they may take. */
const SAMPLING_MS = 1_000;

/** What holds over many items. */
export const manyChecks: Checks<OperatorTrial> = {
  async 'gives all of many, on a flat stack'(trial) {
    const depth = new StackMeter();
    const until = realNow() + 1_000; // for operators that take long, fewer must do
    let input = 0;
    const many = function* (): Generator {
      while (input < MANY && realNow() < until) yield trial.input(++input);
    };
    let count = 0;
    const seen = watch(trial.make()(fromPull(many)), () => {
      count++;
      if ((count & (count - 1)) === 0) depth.look(); // at 1, 2, 4, 8, …
    });
    const rests = !(await whileCounting(seen.ended, () => input + count));
    const limit = `a stack that is no deeper after ${input} synchronous items`;
    must(seen.error === undefined, limit, `the error ${reason(seen.error)}`);
    must(depth.growth < 60, limit, `one of ${depth.growth} frames more`);
    must(!rests, `completion after ${input} items`, `no end after ${counted(count, 'value')}`);
    if (seen.completed) await mustGiveAll(trial, input, seen.values); // else it takes long
  },
};

/** One value of each item, and of some of them the very values; where that is not what was said, enough of them. */
async function mustGiveAll(trial: OperatorTrial, input: number, values: readonly unknown[]): Promise<void> {
  const came = counted(values.length, 'value');
  if (trial.said) {
    const first = items(trial, Math.min(input, COUNTED));
    const least = trial.outputs(first);
    must(values.length >= least, `${counted(least, 'value')} of the first ${first.length} items`, came);
    return;
  }
  must(values.length === input, `${counted(input, 'value')}, one of each item`, came);
  const sample = new Set(numbers(Math.min(input, SAMPLES)).map((n) => input - (((n - 1) * STRIDE) % input)));
  const alone: unknown[] = [];
  const until = realNow() + SAMPLING_MS;
  for (const number of sample) {
    if (realNow() < until) alone.push(...((await valuesOf(trial, [trial.input(number)])) ?? []));
  }
  const lost = lacking(alone, values);
  must(lost.length === 0, `what each of ${input} items gives alone`, `all but ${few(lost)}`);
}
