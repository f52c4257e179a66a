import type { Law } from '../../src/testing/laws/index.ts';

/** What the laws that do not hold say. */
export async function broken(laws: readonly Law[]): Promise<string[]> {
  const found: string[] = [];
  for (const { says, check } of laws) {
    try {
      await check();
    } catch {
      found.push(says);
    }
  }
  return found;
}
