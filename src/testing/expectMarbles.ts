import { MarblesError } from '../errors.ts';
import type { FlowReport } from '../flow/report.ts';
import { asCalled } from './frames.ts';
import type { Marble, MarblesOptions, Wiring } from './Marble.ts';
import { play } from './play.ts';

/**
 * Plays a picture, and fails where the flow does anything else, in virtual time: promises, `sleep(1000)` and `timer`
 * come in their exact column. Checked are the output, every subscription, the lanes, and that nothing stays behind: a
 * pending promise, a timer, an unhandled rejection, a row that nobody read. A flow that goes on is drawn to its end, or to
 * the `!` of the output: nothing may be still to come after the last column.
 *
 *     await expectMarbles(`
 *       source  ab|
 *       a       ---A|
 *       b           -B|
 *       output  ---A-B|
 *     `, ({ source, work }) => source().pipe(concatMap(work)));
 *
 * Works in vitest, jest and node:test. Await it: it has the clock of the whole process until it is done.
 *
 * @returns The report of the run, as it stood at the end of the picture.
 * @throws `MarblesError`, with expected and actual as aligned rows. `PictureError` for a picture that cannot be read.
 */
export async function expectMarbles(
  picture: string,
  wiring: Wiring,
  options: MarblesOptions = {},
): Promise<FlowReport> {
  return asCalled(expectMarbles, async () => {
    const { failure, report } = await play(picture, wiring, options, () => 0);
    if (failure !== undefined) throw new MarblesError(failure);
    return report;
  });
}

/** Plays a marble that is data. The title stands in front of the failure. */
export async function runMarbles({ title, picture, wiring, options = {} }: Marble): Promise<FlowReport> {
  return asCalled(runMarbles, async () => {
    const { failure, report } = await play(picture, wiring, options, () => 0);
    if (failure !== undefined) throw new MarblesError(`${title}: ${failure}`);
    return report;
  });
}
