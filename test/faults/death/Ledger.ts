import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

/** `worked`: work on the item has begun. `confirmed`: the flow says that it is stored. */
export type Entry = 'worked' | 'confirmed';

const letters = { worked: 'w', confirmed: 'c' } as const;

/** A file that outlives its writer: each line is with the kernel before the next step, and now and then on the disk. */
export class Ledger {
  readonly #file: number;
  #lines = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  write(entry: Entry, item: number): void {
    writeSync(this.#file, `${letters[entry]}${item}\n`);
    if (++this.#lines % 1_000 === 0) fsyncSync(this.#file);
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}

/** How many times each item is in there. */
export type Count = ReadonlyMap<number, number>;

export function readLedger(path: string): Readonly<Record<Entry, Count>> {
  const counts = { w: new Map<number, number>(), c: new Map<number, number>() };
  // The last line may have been cut by the kill: it ends without a line feed, and counts for nothing.
  for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    const [letter, item] = [line[0] as 'w' | 'c', Number(line.slice(1))];
    counts[letter].set(item, (counts[letter].get(item) ?? 0) + 1);
  }
  return { worked: counts.w, confirmed: counts.c };
}
