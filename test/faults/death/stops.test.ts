import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../../integration/servers/postgres.ts';
import type { ImporterSettings, Sabotage } from './importer.ts';
import type { KillAt } from './killPoints.ts';
import { clean, heard, Import } from './supervise.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(async () => {
  await database.stop();
});

const items = 4_000;
const maxItems = 50;
/** Two lines of five letters and a line feed for each item. */
const ledgerBytes = items * 12;

const imports: Import[] = [];
afterEach(async () => {
  for (const one of imports.splice(0)) await one.end();
});

async function begin(settings: Partial<ImporterSettings> = {}): Promise<Import> {
  const one = await Import.begin(database, { items, maxItems, ...settings });
  imports.push(one);
  return one;
}

/** What waits for its retry when draining begins fails: nothing is to wait. Slow, so that half of it is not soon all of it. */
const calm = { fails: false, workMs: 4 };
/** And at three quarters of the items it waits for the signal, should that come late. */
const waits = { waitsFrom: (items * 3) / 4 };

describe('F04: SIGTERM at half of the items', () => {
  async function stopped(sabotage?: Sabotage): Promise<{ one: Import; said: Record<string, unknown> }> {
    const one = await begin({ sabotage, ...calm });
    // The twin is to have something at work in any case.
    const { child, ended } = one.start({ ...waits, ...(sabotage && { hangsAt: items / 4 }) });
    await one.reaches(ledgerBytes / 2);
    child.kill('SIGTERM');
    const first = await ended;
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(await one.live()).toMatchObject({ code: 0, stderr: '' });
    return { one, said: heard(first, 'ended')! };
  }

  test('takes in no more, finishes and stores what is inside, and nothing is worked on twice', async () => {
    const { one, said } = await stopped();
    expect(said).toMatchObject({ end: 'drained', left: [] });
    expect(said['delivered']).toBe(said['itemsIn']);
    expect(said['itemsIn']).toBeLessThan(items);
    // A pull that was under way when the signal came.
    expect(said['pulledAfterStop']).toBeLessThanOrEqual(1);
    expect(await one.verdict()).toEqual({ ...clean, workedAgain: 0 });
  });

  test('sabotaged twin: aborted instead, what was inside is worked on again', async () => {
    const { one } = await stopped('abortedOnSignal');
    expect((await one.verdict()).workedAgain).toBeGreaterThan(0);
  });
});

describe('F05: SIGTERM while one item hangs for ever', () => {
  /** What does not hang has to be done by then, on a busy machine as well. */
  const drainTimeoutMs = 3_000;

  async function stopped(sabotage?: Sabotage): Promise<{ one: Import; said: Record<string, unknown> }> {
    const one = await begin({ sabotage, ...calm });
    const { child, ended } = one.start({ ...waits, hangsAt: items / 4, drainTimeoutMs });
    await one.reaches(ledgerBytes / 2);
    child.kill('SIGTERM');
    const first = await ended;
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(await one.live()).toMatchObject({ code: 0, stderr: '' });
    return { one, said: heard(first, 'ended')! };
  }

  test('the report lists exactly that item, and it is given again after the restart', async () => {
    const { one, said } = await stopped();
    expect(said).toMatchObject({ end: 'aborted', left: [items / 4] });
    expect(said['delivered']).toBe(Number(said['itemsIn']) - 1);
    expect(await one.verdict()).toEqual({ ...clean, workedAgain: 1 });
  });

  test('sabotaged twin: acknowledged at intake, it is lost', async () => {
    const { one } = await stopped('acknowledgedAtIntake');
    expect(await one.verdict()).toMatchObject({ lost: 1 });
  });
});

describe('F07: SIGKILL while it drains after SIGTERM', () => {
  async function killed(sabotage?: Sabotage): Promise<Import> {
    const one = await begin({ sabotage, ...calm });
    const { child, ended } = one.start({ ...waits, hangsAt: items / 4 }, 'in-drain:20');
    await one.reaches(ledgerBytes / 2);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: null, stderr: '' });
    expect(await one.live()).toMatchObject({ code: 0, stderr: '' });
    return one;
  }

  test('nothing is lost and nothing stored twice', async () => {
    expect(await (await killed()).verdict()).toMatchObject(clean);
  });

  test('sabotaged twin: acknowledged at intake, what was inside is lost', async () => {
    expect((await (await killed('acknowledgedAtIntake')).verdict()).lost).toBeGreaterThan(0);
  });
});

describe('F08: a process that is stopped for longer than its lease, replaced, and goes on', () => {
  const leaseMs = 1_000;

  /** The first one stops itself at that point; the second one waits for the lease to end, and does the rest. */
  async function replaced(
    at: KillAt,
    sabotage?: Sabotage,
  ): Promise<{ one: Import; stderr: string; code: unknown }> {
    const one = await begin({ sabotage, leaseMs, ifHeld: 'wait' });
    const zombie = one.start({}, at, 'SIGSTOP');
    try {
      await stoppedBySignal(zombie.child.pid!);
      expect(await one.live()).toMatchObject({ code: 0, stderr: '' });
    } finally {
      zombie.child.kill('SIGCONT');
    }
    const { code, stderr } = await zombie.ended;
    return { one, code, stderr };
  }

  test.each<KillAt>([
    'in-work:500',
    'before-begin:9',
    'statement-sent:9',
    'before-commit:9',
    'after-commit:9',
  ])('at %s: its writes are refused, and nothing is lost or stored twice', async (at) => {
    const { one, code, stderr } = await replaced(at);
    expect(await one.verdict()).toMatchObject(clean);
    expect(code).toBe(1);
    expect(stderr).toContain('CHECKPOINT_LOST');
  });

  test('sabotaged twin: what it stores apart from its checkpoint is stored twice', async () => {
    const { one } = await replaced('before-commit:9', 'storedApart');
    expect((await one.verdict()).twice).toBeGreaterThan(0);
  });
});

describe('F09: two instances of one import', () => {
  test('one has the checkpoint; who will not wait ends with a clear error, who waits finds nothing to do', async () => {
    const one = await begin({ ifHeld: 'wait' });
    const first = one.start(waits);
    await one.reaches(1);
    const waiting = one.live();
    const refused = await one.live({ ifHeld: 'fail' });
    first.child.kill('SIGUSR2');
    const waited = await waiting;
    expect(await first.ended).toMatchObject({ code: 0, stderr: '' });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('CHECKPOINT_HELD');
    expect(waited).toMatchObject({ code: 0, stderr: '' });
    expect(heard(waited, 'started')).toMatchObject({ position: items });
    expect(await one.verdict()).toEqual({ ...clean, workedAgain: 0 });
  });

  test('sabotaged twin: each with a checkpoint of its own, they store everything twice', async () => {
    const one = await begin();
    await Promise.all([one.live({ checkpoint: 'one' }), one.live({ checkpoint: 'other' })]);
    expect(await one.verdict()).toMatchObject({ lost: 0, twice: items });
  });
});

describe('F10: an error of user code that nobody can catch', () => {
  async function broken(breaksBy: 'throw' | 'rejection', sabotage?: Sabotage): Promise<Import> {
    const one = await begin({ sabotage });
    const { code, stderr } = await one.live({ hangsAt: items / 4, breaksAt: items / 2, breaksBy });
    expect(code).toBe(1);
    expect(stderr).toContain(`work: item ${items / 2} broke`);
    expect(await one.live()).toMatchObject({ code: 0, stderr: '' });
    return one;
  }

  test.each(['throw', 'rejection'] as const)(
    '%s: ends the process, and nothing is lost or stored twice',
    async (by) => {
      expect(await (await broken(by)).verdict()).toMatchObject(clean);
    },
  );

  test('sabotaged twin: acknowledged at intake, what was inside is lost', async () => {
    expect((await (await broken('throw', 'acknowledgedAtIntake')).verdict()).lost).toBeGreaterThan(0);
  });
});

/** Resolves when the kernel says that the process is stopped. */
async function stoppedBySignal(pid: number): Promise<void> {
  await expect
    .poll(async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '')[0], {
      timeout: 20_000,
    })
    .toBe('T');
}
