import type { Job } from './VirtualClock.ts';

/** Of a timer that the end of the picture has cleared, since the flow goes on: what to draw. */
export function stillToCome(job: Job, byRun: boolean): string {
  const left = byRun ? 'a row abort stops the run' : 'output is left';
  return `more is to come when the picture ends: ${dueOf(job)}; draw on to there, or ! where ${left}`;
}

/** Of a timer that nobody clears. One that none of our code has set, or of a flow that waits, may be that of I/O. */
export function leftOver(job: Job, ended: boolean): string {
  const hint = '; if it is that of real I/O, such as fetch: that cannot come in virtual time';
  return `a timer is left over: ${dueOf(job)}${ended && job.name().includes(' at ') ? '' : hint}`;
}

function dueOf({ name, due }: Job): string {
  return `${name()}, due in column ${due}`;
}
