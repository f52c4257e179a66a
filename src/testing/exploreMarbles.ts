import { MarblesError } from '../errors.ts';
import type { FlowReport } from '../flow/report.ts';
import { needed } from '../needed.ts';
import { wholeNumber } from '../options.ts';
import { asCalled } from './frames.ts';
import type { Marble } from './Marble.ts';
import { play, type Play } from './play.ts';

export interface ExploreOptions {
  /** Orders that are tried: all, where there are no more than this, else a sample. Whole number, 1 or more. @defaultValue 200 */
  readonly maxRuns?: number;
  /** Of the sample. @defaultValue 1 */
  readonly seed?: number;
  /** What must hold in every order; throws where it does not. @defaultValue the picture, exactly as it is drawn */
  readonly check?: (output: readonly unknown[], report: FlowReport) => void;
}

export interface Exploration {
  /** Orders that were tried. */
  readonly runs: number;
  /** Whether those were all. */
  readonly complete: boolean;
}

/** One choice of which of several jobs goes first. */
interface Choice {
  readonly at: number;
  readonly chosen: number;
  readonly jobs: readonly string[];
}

/** A replay in one order. */
interface Replay {
  readonly choices: readonly Choice[];
  readonly failure: string | undefined;
}

/**
 * Plays a marble again and again, each time with another order of what is due in the same millisecond: every order, or a
 * seeded sample of them. A race that the usual order hides is found, made as small as can be, and shown.
 *
 * The picture must hold in each; or, where the order may show in it, what `check` says.
 *
 * @throws `MarblesError`, with the order and what was wrong. A sample needs the package `fast-check`.
 */
export async function exploreMarbles(marble: Marble, options: ExploreOptions = {}): Promise<Exploration> {
  const { maxRuns = 200, seed = 1, check } = options;
  wholeNumber('exploreMarbles: maxRuns', maxRuns, 1);
  return asCalled(exploreMarbles, () => explore(marble, maxRuns, seed, check));
}

async function explore(
  marble: Marble,
  maxRuns: number,
  seed: number,
  check: ExploreOptions['check'],
): Promise<Exploration> {
  let order: readonly number[] | undefined = [];
  let runs = 0;
  for (; order && runs < maxRuns; runs++) {
    const replayed: Replay = await replay(marble, order, check);
    if (replayed.failure !== undefined) throw told(marble, await smallest(marble, replayed, check));
    order = nextOrder(replayed.choices);
  }
  if (!order) return { runs, complete: true };
  const found = await sample(marble, maxRuns, seed, check);
  if (found) throw told(marble, await smallest(marble, found, check));
  return { runs: runs + maxRuns, complete: false };
}

async function replay(
  marble: Marble,
  order: readonly number[],
  check: ExploreOptions['check'],
): Promise<Replay> {
  const choices: Choice[] = [];
  const played = await play(marble.picture, marble.wiring, marble.options ?? {}, (jobs, at) => {
    const chosen = (order[choices.length] ?? 0) % jobs.length;
    choices.push({ at, chosen, jobs: jobs.map((job) => job.name()) });
    return chosen;
  });
  return { choices, failure: check ? failureOf(played, check) : played.failure };
}

function failureOf(
  { faults, output, report }: Play,
  check: NonNullable<ExploreOptions['check']>,
): string | undefined {
  try {
    check(output, report);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return faults.length > 0 ? faults.map((fault) => `- ${fault}`).join('\n') : undefined;
}

/** The order after this one, the last choice changed first; undefined: it was the last. */
function nextOrder(choices: readonly Choice[]): number[] | undefined {
  const last = choices.findLastIndex(({ chosen, jobs }) => chosen + 1 < jobs.length);
  if (last < 0) return undefined;
  return choices.slice(0, last + 1).map(({ chosen }, i) => (i === last ? chosen + 1 : chosen));
}

async function sample(
  marble: Marble,
  numRuns: number,
  seed: number,
  check: ExploreOptions['check'],
): Promise<Replay | undefined> {
  const fastCheck = await needed('exploreMarbles', 'fast-check', import('fast-check'));
  const { array, asyncProperty, check: tryAll, nat } = fastCheck;
  let found: Replay | undefined;
  const property = asyncProperty(array(nat(11), { maxLength: 200, size: 'max' }), async (order) => {
    const replayed = await replay(marble, order, check);
    if (replayed.failure !== undefined) found = replayed;
    return replayed.failure === undefined;
  });
  await tryAll(property, { numRuns, seed, endOnFailure: true });
  return found;
}

/** The same failure with as few choices as possible that are not the usual ones. */
async function smallest(marble: Marble, failed: Replay, check: ExploreOptions['check']): Promise<Replay> {
  let best = failed;
  for (let i = 0; i < best.choices.length; i++) {
    const order = best.choices.map(({ chosen }, j) => (i === j ? 0 : chosen));
    if (best.choices[i]?.chosen === 0) continue;
    const replayed = await replay(marble, order, check);
    if (replayed.failure !== undefined) best = replayed;
  }
  return best;
}

function told({ title }: Marble, { choices, failure }: Replay): MarblesError {
  const turns = choices
    .filter(({ chosen }) => chosen > 0)
    .map(({ at, chosen, jobs }) => {
      const others = jobs.filter((_job, i) => i < chosen);
      return `- column ${at}: "${jobs[chosen] ?? ''}" before ${others.map((job) => `"${job}"`).join(', ')}`;
    });
  const when =
    turns.length === 0
      ? 'in the usual order'
      : `in this order of what is due at once:\n\n${turns.join('\n')}`;
  return new MarblesError(`${title}: ${when}\n\n${failure ?? ''}`);
}
