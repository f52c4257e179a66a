import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Slots } from '../../src/connectors/Slots.ts';

const closed = (): Error => new Error('closed');

/** Notes who came in. */
function entering(slots: Slots, inside: string[], name: string, signal?: AbortSignal): Promise<void> {
  return slots.enter(signal).then(() => {
    inside.push(name);
  });
}

describe('Slots', () => {
  it('lets so many in, and the others in the order of their coming, without those that left the line', async () => {
    const slots = new Slots({ max: 2, closed });
    const inside: string[] = [];
    const leaving = new AbortController();
    const first = [entering(slots, inside, 'a'), entering(slots, inside, 'b')];
    const left = entering(slots, inside, 'c', leaving.signal);
    const last = entering(slots, inside, 'd');
    await Promise.all(first);
    await setTimeout(5);
    expect(inside).toEqual(['a', 'b']);
    expect(slots.waiting).toBe(2);
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    slots.leave();
    await last;
    expect(inside).toEqual(['a', 'b', 'd']);
    expect(slots.waiting).toBe(0);
    const short = slots.shortMs;
    expect(short).toBeGreaterThan(0);
    await setTimeout(5);
    expect(slots.shortMs).toBe(short);
    await expect(slots.enter(AbortSignal.abort(new Error('never')))).rejects.toThrow('never');
  });

  it('gives up on who waits too long, whose place in the line is gone', async () => {
    const patience = { ms: 5, error: () => new Error('too long') };
    const slots = new Slots({ max: 1, closed, patience });
    await slots.enter(undefined);
    await expect(slots.enter(undefined)).rejects.toThrow('too long');
    expect(slots.waiting).toBe(0);
    slots.leave();
    await slots.enter(undefined);
  });

  it('closes when nobody is in, and serves those in the line until then', async () => {
    const slots = new Slots({ max: 1, closed });
    await slots.enter(undefined);
    const second = slots.enter(undefined);
    const closing = slots.close(60_000);
    await expect(slots.enter(undefined)).rejects.toThrow('closed');
    slots.leave();
    await second;
    slots.leave();
    await closing;
  });

  it('closes after the timeout at the latest, and refuses those in the line', async () => {
    const slots = new Slots({ max: 1, closed });
    await slots.enter(undefined);
    const second = slots.enter(undefined);
    const refused = expect(second).rejects.toThrow('closed');
    await slots.close(5);
    await refused;
    expect(slots.waiting).toBe(0);
  });
});
