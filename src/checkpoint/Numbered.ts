import type { Progress } from './Progress.ts';

/** Whose item it is, and which. It is what the source pulls; below it the value goes on alone. */
export class Numbered<T> {
  readonly progress: object;
  readonly position: number;
  readonly value: T;
  #isBack = false;

  constructor(progress: object, position: number, value: T) {
    this.progress = progress;
    this.position = position;
    this.value = value;
  }

  /** It may be given again. Said as soon as one of its parts is handed back, and once more when all have settled. */
  handBack(progress: Progress): void {
    if (this.#isBack) return;
    this.#isBack = true;
    progress.handBack(this.position);
  }
}

/** Which items of this source are among what a sink is told of. */
export function positionsOf(progress: Progress, origins: readonly unknown[]): number[] {
  const positions: number[] = [];
  for (const origin of origins) {
    if (origin instanceof Numbered && origin.progress === progress) positions.push(origin.position);
  }
  return positions;
}
