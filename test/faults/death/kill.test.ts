import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../integration/servers/postgres.ts';
import type { ImporterSettings, Sabotage } from './importer.ts';
import { killPoints, type KillPoint } from './killPoints.ts';
import { clean, heard, Import, type Verdict } from './supervise.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => {
  await database.stop();
});

const imports: Import[] = [];
afterEach(async () => {
  for (const one of imports.splice(0)) await one.end();
});

async function begin(settings: Pick<ImporterSettings, 'items' | 'maxItems' | 'sabotage'>): Promise<Import> {
  const one = await Import.begin(database, settings);
  imports.push(one);
  return one;
}

const inQueueAndPool = 64 + 8;
/** Items without an outcome at any time: waiting, at work, gathered, and in the two batches being stored. */
const inside = (maxItems: number): number => inQueueAndPool + 3 * maxItems;

describe('F01: SIGKILL at ten random moments of 100,000 items', { timeout: 120_000 }, () => {
  const whole = { items: 100_000, kills: 10 };
  const part = { items: 30_000, kills: 5 };
  const maxItems = 500;
  /** A holder that was killed has its lease for that long; who takes over does not wait for it. */
  const leaseMs = 30_000;

  interface Lived extends Verdict {
    /** The longest time from a kill to the next item at work. */
    readonly slowestRestartMs: number;
  }

  async function killedAtRandom(
    seed: number,
    { items, kills, sabotage }: { items: number; kills: number; sabotage?: Sabotage },
  ): Promise<Lived> {
    /** Two lines of a letter, five figures and a line feed for each item. */
    const ledgerBytes = items * 2 * 7;
    const random = seeded(seed);
    const one = await begin({ items, maxItems, sabotage });
    const moments = Array.from({ length: kills }, () => random() * 0.9 * ledgerBytes).sort((a, b) => a - b);
    let slowestRestartMs = 0;
    for (const moment of moments) {
      const before = one.ledgerBytes;
      const startedAt = performance.now();
      // The last item hangs, so that none is done before it is killed.
      const { child, ended } = one.start({ leaseMs, hangsAt: items - 1 });
      await one.reaches(before + 1);
      slowestRestartMs = Math.max(slowestRestartMs, performance.now() - startedAt);
      await one.reaches(moment);
      await new Promise((resolve) => setTimeout(resolve, random() * 20));
      child.kill('SIGKILL');
      expect(await ended).toMatchObject({ code: null, stderr: '' });
    }
    expect(await one.live({ leaseMs })).toMatchObject({ code: 0, stderr: '' });
    return { ...(await one.verdict()), slowestRestartMs };
  }

  test.each([1, 2, 3])('nothing is lost and nothing stored twice (seed %i)', async (seed) => {
    const lived = await killedAtRandom(seed, whole);
    print(`F01 seed ${seed}`, lived);
    expect(lived).toMatchObject(clean);
    expect(lived.workedAgain).toBeLessThanOrEqual(whole.kills * inside(maxItems));
    expect(lived.slowestRestartMs).toBeLessThan(leaseMs / 2);
  });

  /** Whether something goes wrong depends on when it is killed: as often as it takes. */
  async function until(wrong: 'lost' | 'twice', sabotage: Sabotage, firstSeed: number): Promise<Lived> {
    let lived: Lived;
    let seed = firstSeed;
    do lived = await killedAtRandom(seed, { ...part, sabotage });
    while (lived[wrong] === 0 && ++seed < firstSeed + 5);
    return lived;
  }

  test('sabotaged twin: rows stored apart from their checkpoint are stored twice', async () => {
    const lived = await until('twice', 'storedApart', 4);
    print('F01 twin, rows and checkpoint in two transactions', lived);
    expect(lived.twice).toBeGreaterThan(0);
  });

  test('sabotaged twin: items acknowledged before they are stored are lost', async () => {
    const lived = await until('lost', 'acknowledgedAtIntake', 5);
    print('F01 twin, acknowledged at intake', lived);
    expect(lived.lost).toBeGreaterThan(0);
  });
});

describe('F02: SIGKILL at each named point', { timeout: 120_000 }, () => {
  const items = 2_000;
  const maxItems = 40;
  const figures: Verdict[] = [];

  /** Killed the nth time it comes by, then started again. */
  async function kill(one: Import, point: KillPoint, pass: number): Promise<void> {
    // What waits for its retry when draining begins would fail.
    const drained = point.endsWith('-drain') ? { drainAfter: items / 2, fails: false } : {};
    expect(await one.live(drained, `${point}:${pass}`)).toMatchObject({ code: null, stderr: '' });
    const second = await one.live();
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(heard(second, 'ended')).toMatchObject({ end: 'completed', left: [] });
  }

  async function killedAt(
    point: KillPoint,
    passes: readonly number[],
    sabotage?: Sabotage,
  ): Promise<Verdict[]> {
    const ones: Import[] = [];
    for (const _ of passes) ones.push(await begin({ items, maxItems, sabotage }));
    await Promise.all(ones.map((one, i) => kill(one, point, passes[i]!)));
    const verdicts: Verdict[] = [];
    for (const one of ones) verdicts.push(await one.verdict());
    return verdicts;
  }

  test.each(killPoints)('%s: nothing is lost and nothing stored twice', async (point) => {
    const passes = point === 'after-drain' ? [1] : [1, 2, 37];
    const verdicts = await killedAt(point, passes);
    figures.push(...verdicts);
    for (const verdict of verdicts) {
      expect(verdict).toMatchObject(clean);
      expect(verdict.workedAgain).toBeLessThanOrEqual(inside(maxItems));
    }
  });

  test.each([
    ['statement-sent', 37],
    ['checkpoint-sent', 2],
    ['before-commit', 37],
  ] as const)('sabotaged twin at %s: rows stored apart are stored twice', async (point, pass) => {
    const [verdict] = await killedAt(point, [pass], 'storedApart');
    print(`F02 twin at ${point}, rows and checkpoint in two transactions`, verdict!);
    expect(verdict!.twice).toBeGreaterThan(0);
  });

  test.each([
    ['in-work', 37],
    ['in-backoff', 2],
    ['after-work', 37],
    ['before-begin', 20],
  ] as const)('sabotaged twin at %s: items acknowledged too early are lost', async (point, pass) => {
    const [verdict] = await killedAt(point, [pass], 'acknowledgedAtIntake');
    print(`F02 twin at ${point}, acknowledged at intake`, verdict!);
    expect(verdict!.lost).toBeGreaterThan(0);
  });

  afterAll(() => {
    const sum = (key: keyof Verdict): number => figures.reduce((total, verdict) => total + verdict[key], 0);
    const [lost, twice, again] = [sum('lost'), sum('twice'), sum('workedAgain')];
    console.info(
      `F02: ${figures.length} kills at ${killPoints.length} points, ${items} items each: ${lost} lost, ${twice} stored twice, ` +
        `${again} worked on again`,
    );
  });
});

function print(
  what: string,
  { lost, twice, workedAgain, ...more }: Verdict & Partial<Record<'slowestRestartMs', number>>,
): void {
  const restart =
    more.slowestRestartMs === undefined ? '' : `, on again within ${Math.round(more.slowestRestartMs)} ms`;
  console.info(`${what}: ${lost} lost, ${twice} stored twice, ${workedAgain} worked on again${restart}`);
}

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
