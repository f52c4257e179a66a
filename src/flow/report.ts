import { counted } from '../counted.ts';
import type { ConnectionUse } from '../metrics/connections.ts';
import type { SourceMeter } from '../metrics/SourceMeter.ts';
import type { StageMeter } from '../metrics/StageMeter.ts';
import type { LeftItem, Run } from './Run.ts';

/** One stage of a flow, in figures. Items are input items; at every instant `in = out + rejected + dropped + dead + held`. */
export interface StageStats {
  readonly name: string;
  readonly operator: string;
  readonly in: number;
  /** Done, with all results delivered. */
  readonly out: number;
  /** Results delivered. */
  readonly emitted: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly dead: number;
  /** Waiting, at work, or finished and not delivered; after an abort: handed back. */
  readonly held: number;
  /** Attempts beyond the first. */
  readonly retried: number;
  /** Items that arrived although the limit was held. */
  readonly overruns: number;
  /** Emissions towards the stage that did not arrive, and were not dropped by an operator of ours. */
  readonly unclaimed: number;
  /** Items that arrived later than they were emitted: held by a native operator meanwhile. */
  readonly late: number;
  /** Items that can be worked on at once, now; 0: the stage does no work of its own. */
  readonly slots: number;
  /** The same, on average over the run: another number where `concurrency` was changed meanwhile. */
  readonly meanSlots: number;
  /** Slots in use now: items at work, and results that keep their slot until they are delivered. */
  readonly active: number;
  /** Items that wait now, for a slot or for room below. */
  readonly waiting: number;
  /** Share of its slots' time spent at work, 0 to 1. */
  readonly busyShare: number;
  /** Share of its slots' time in which finished results waited for the stage below, 0 to 1. */
  readonly blockedShare: number;
  /** `rateLimit`: share of the run's time in which items waited for its rate, 0 to 1. */
  readonly shortShare: number;
}

/** The sources of one name in a flow, of those that wait for demand, in figures. */
export interface SourceStats {
  readonly name: string;
  /** Items that they have delivered into the flow. */
  readonly items: number;
  /**
   * Share of the run's time in which an item was asked for and had not come yet, 0 to 1: the time that the program was
   * busy with other things is in it. 0 for an input that is synchronous.
   */
  readonly waitedShare: number;
}

/** Connections that stages of a flow use, in figures: of all who use them, other flows included. */
export interface ConnectionStats {
  /** What keeps them: `PostgresConnections`, `HttpConnections`. */
  readonly name: string;
  /** The stages that use them. */
  readonly stages: readonly string[];
  /** Connections, now: idle or in use. */
  readonly total: number;
  readonly idle: number;
  /** Callers that wait for one, now. */
  readonly waiting: number;
  /** Share of the run's time in which somebody waited since none was free, 0 to 1. */
  readonly shortShare: number;
}

/** A flow, in figures, while it runs. */
export interface FlowStats {
  /** Items that the sources have delivered into the flow. */
  readonly itemsIn: number;
  /** Items that a sink has confirmed. */
  readonly stored: number;
  /** Items that came out at the end of the flow. */
  readonly delivered: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly dead: number;
  readonly retried: number;
  /** Records that a source could not read, and `onBadRecord` set aside: no items, so in no other figure. */
  readonly setAside: number;
  /** Items inside; after the end: handed back. */
  readonly leftOver: number;
  readonly elapsedMs: number;
  /** Items that left at the end, with any outcome, a second. */
  readonly itemsPerSecond: number;
  /** Those that can wait: `fromPull`, `intake`, and all that read files, HTTP or tables. Not those inside an item's work. */
  readonly sources: readonly SourceStats[];
  /** From the source to the end. Those of one name are numbered in that order: `poolMap#1`. */
  readonly stages: readonly StageStats[];
  /** What stages take connections from, as far as their work or sink is made by it (`http.json`, `postgresTable` …). */
  readonly connections: readonly ConnectionStats[];
}

/** What a run leaves behind. */
export interface FlowReport extends FlowStats {
  /**
   * How it ended: by itself, with all input done, or before that where an operator (`take`, `takeUntil`) ended it, and
   * `leftOver` says what was inside; stopped by `drain`, with all that was inside finished; stopped by `abort`; or with an
   * error. Only `report()` says `'failed'`: awaiting the run rejects then. While it runs: how it would end now.
   */
  readonly end: 'completed' | 'drained' | 'aborted' | 'failed';
  /** The items that were handed back, with the stage that held each. */
  readonly left: readonly LeftItem[];
  readonly warnings: readonly string[];
  /** Says which stage, or source, limits the run, and, where that is so, that not all of the input was done. */
  explain(): string;
}

export function statsOf(run: Run, elapsedMs: number): FlowStats {
  const meters = [...run.meters.values()].reverse();
  const stages = meters.map((meter) => stageStats(meter, elapsedMs));
  const sum = (key: 'rejected' | 'dropped' | 'dead' | 'held' | 'retried' | 'stored'): number =>
    meters.reduce((total, meter) => total + meter[key], 0);
  const [rejected, dropped, dead] = [sum('rejected'), sum('dropped'), sum('dead')];
  const done = run.delivered + rejected + dropped + dead;
  return {
    itemsIn: run.itemsIn > 0 ? run.itemsIn : (stages[0]?.in ?? run.delivered),
    stored: sum('stored'),
    delivered: run.delivered,
    rejected,
    dropped,
    dead,
    retried: sum('retried'),
    setAside: run.setAside,
    leftOver: sum('held') + run.lost,
    elapsedMs,
    itemsPerSecond: elapsedMs > 0 ? (done * 1_000) / elapsedMs : 0,
    sources: [...run.sources.values()].map((source) => sourceStats(source, elapsedMs)),
    stages,
    connections: [...run.connections.values()].map((use) => connectionStats(use, elapsedMs)),
  };
}

function sourceStats(meter: SourceMeter, elapsedMs: number): SourceStats {
  meter.countTime();
  return { name: meter.name, items: meter.items, waitedShare: shareOf(meter.waitedMs, elapsedMs) };
}

function connectionStats({ connections, meters, use }: ConnectionUse, elapsedMs: number): ConnectionStats {
  const { total, idle, waiting, shortMs } = use;
  return {
    name: connections.name,
    stages: meters.map((meter) => meter.name).reverse(),
    total,
    idle,
    waiting,
    shortShare: shareOf(shortMs, elapsedMs),
  };
}

function shareOf(ms: number, ofMs: number): number {
  return ofMs > 0 ? Math.min(1, ms / ofMs) : 0;
}

function stageStats(meter: StageMeter, elapsedMs: number): StageStats {
  meter.countTime();
  const { slots } = meter;
  const slotMs = meter.slotMs(elapsedMs);
  return {
    name: meter.name,
    operator: meter.identity.operator,
    in: meter.in,
    out: meter.out,
    emitted: meter.emitted,
    rejected: meter.rejected,
    dropped: meter.dropped,
    dead: meter.dead,
    held: meter.held,
    retried: meter.retried,
    overruns: meter.overruns,
    unclaimed: meter.unclaimed,
    late: meter.late,
    slots,
    meanSlots: elapsedMs > 0 ? slotMs / elapsedMs : slots,
    active: meter.active,
    waiting: meter.waiting,
    busyShare: shareOf(meter.busyMs, slotMs),
    blockedShare: shareOf(meter.blockedMs, slotMs),
    shortShare: shareOf(meter.shortMs, elapsedMs),
  };
}

/** How far a run has come. `late`: what was left when draining took too long was aborted. */
export type Stand = FlowReport['end'] | 'running' | 'late';

/** Says how the run ended, if not with all input done, and names the stage or source that let no more through for the longest. */
export function explain(stats: FlowStats, stand: Stand): string {
  return [endingOf(stand, stats), goneIn(stats), limitOf(stats)].filter(Boolean).join(' ');
}

/** Which stages gave items up, and how many. */
function goneIn({ stages }: FlowStats): string {
  const gone = stages.flatMap(({ name, dead, dropped }) => [
    dead > 0 && `${dead} dead (${name})`,
    dropped > 0 && `${dropped} dropped (${name})`,
  ]);
  const told = gone.filter(Boolean).join(', ');
  return told && `${told}.`;
}

function endingOf(stand: Stand, stats: FlowStats): string | undefined {
  const { leftOver } = stats;
  const away = stand === 'drained' ? 0 : awayIn(stats); // draining ends native operators, which give what they hold
  const none = away > 0 ? 'no stage held an item' : 'nothing was left over';
  const held = leftOver === 0 ? none : `${counted(leftOver, 'item')} had no outcome`;
  const left =
    away > 0
      ? `${held}, and ${counted(away, 'item')} did not arrive at a stage: held, dropped or replaced by native operators`
      : held;
  return {
    completed: leftOver > 0 ? `Completed: ${left}.` : undefined,
    running: 'Still running.',
    drained: `Drained, perhaps before all input was read: ${left}.`,
    aborted: `Aborted: ${left}.`,
    late: `Drained, and aborted when that took longer than drainTimeoutMs: ${left}.`,
    failed: `Failed: ${left}.`,
  }[stand];
}

/** Items that were emitted towards a stage and did not arrive, without those that were handed back on their way. */
function awayIn({ leftOver, stages }: FlowStats): number {
  return stages.reduce(
    (sum, { held, unclaimed, late }) => sum + held + Math.max(0, unclaimed - late),
    -leftOver,
  );
}

function limitOf(stats: FlowStats): string {
  if (stats.itemsIn === 0) return 'No items came in.';
  const rate = stats.itemsPerSecond.toFixed(stats.itemsPerSecond < 10 ? 1 : 0);
  const working = stats.stages.filter((stage) => stage.in > 0 && (stage.slots > 0 || stage.shortShare > 0));
  const [busiest] = working.sort((a, b) => limiting(b) - limiting(a)); // of several, that nearest to the source
  const percent = busiest ? percentOf(limiting(busiest)) : 0;
  const waited = waitedFor(stats.sources);
  if (waited >= 50 && waited > percent)
    return `${sourcesLimit(stats.sources, rate)} ${waited} % of the time.`;
  if (!busiest) {
    const idle = stats.stages.some(({ slots }) => slots > 0)
      ? 'No item reached a stage that does work'
      : `No stage of this flow does work of its own${unheld(stats)}`;
    return `${idle}; ${rate} items/s came through.`;
  }
  const limits =
    percent >= 50
      ? `${busiest.name} limits the run`
      : `No stage was busy half of the time, ${busiest.name} most`;
  const why = busiest.slots > 0 ? `${slotsOf(busiest)} busy` : 'its rate held items back';
  const busy = `${limits}, at ${rate} items/s: ${why} ${percent} % of the time.`;
  return busy + shortageOf(busiest, stats.connections);
}

/** Sources that can wait, and had nothing to wait for. */
function unheld({ sources, stages }: FlowStats): string {
  if (sources.length === 0 || stages.length > 0) return '';
  return `, so nothing holds ${sources.map(({ name }) => name).join(', ')} back`;
}

/** For how many percent of the time the least awaited was waited for: that others have nothing holds nobody back. */
function waitedFor(sources: readonly SourceStats[]): number {
  return sources.length === 0 ? 0 : percentOf(Math.min(...sources.map((each) => each.waitedShare)));
}

function sourcesLimit(sources: readonly SourceStats[], rate: string): string {
  const names = sources.map(({ name }) => name).join(', ');
  return sources.length === 1
    ? `The source ${names} limits the run, at ${rate} items/s: it was waited for`
    : `The sources ${names} limit the run, at ${rate} items/s: each was waited for at least`;
}

function percentOf(share: number): number {
  return Math.round(share * 100);
}

/** How much of the time a stage let no more through. */
function limiting({ busyShare, shortShare }: StageStats): number {
  return Math.max(busyShare, shortShare);
}

function shortageOf({ name }: StageStats, connections: readonly ConnectionStats[]): string {
  const short = connections.find(({ stages, shortShare }) => stages.includes(name) && shortShare >= 0.5);
  if (!short) return '';
  return ` It waits for connections: ${short.name} had none free ${percentOf(short.shortShare)} % of the time, so more slots would not help.`;
}

function slotsOf({ slots, meanSlots }: StageStats): string {
  const mean = meanSlots.toFixed(1);
  if (mean !== slots.toFixed(1)) return `its slots, ${mean} on average, were`;
  return slots === 1 ? 'its one slot was' : `its ${slots} slots were`;
}
