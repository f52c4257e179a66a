import type { Run } from '../flow/Run.ts';
import type { StageMeter } from '../metrics/StageMeter.ts';
import type { LaneRow } from './picture.ts';
import type { PlayedLane } from './Played.ts';

/** Reads the lanes of a picture off the stages of a run, once a millisecond, when it has settled. */
export class Gauges {
  /** Why a lane cannot be read. */
  readonly problems = new Set<string>();
  /** Items taken from sources that wait, by name. */
  readonly pulled = new Map<string, number>();
  readonly #lanes: readonly LaneRow[];
  readonly #series = new Map<LaneRow, { at: number; value: number }[]>();
  #run: Run | undefined;

  constructor(lanes: readonly LaneRow[]) {
    this.#lanes = lanes;
    for (const lane of lanes) this.#series.set(lane, []);
  }

  attach(run: Run | undefined): void {
    this.#run = run;
  }

  seriesOf(lane: LaneRow): PlayedLane {
    return this.#series.get(lane) ?? [];
  }

  /** Notes the value of each lane at a millisecond, where it has changed. */
  sample(at: number): void {
    for (const lane of this.#lanes) {
      const series = this.#series.get(lane) ?? [];
      const value = this.#read(lane.name);
      if (series.at(-1)?.value !== value) series.push({ at, value });
    }
  }

  /** Why a lane has nothing to show: there never was such a stage or source. */
  unread(lane: string): string | undefined {
    const { stage, gauge } = parts(lane);
    const what = gauge === 'pulled' ? 'source' : 'stage';
    const known = gauge === 'pulled' ? [...this.pulled.keys()] : this.#meters().map(({ name }) => name);
    if (stage === undefined ? known.length > 0 : known.includes(stage)) return undefined;
    const others = known.length > 0 ? `; there are ${known.join(', ')}` : '';
    return `row ${lane} is unread: there is no ${what}${stage === undefined ? '' : ` called ${stage}`}${others}`;
  }

  /** The stages, each with its number of items at work. */
  atWork(): { readonly stage: string; readonly active: number }[] {
    return this.#meters().map((meter) => ({ stage: meter.name, active: meter.active }));
  }

  #meters(): StageMeter[] {
    return [...(this.#run?.meters.values() ?? [])];
  }

  #read(lane: string): number {
    const { stage, gauge } = parts(lane);
    if (gauge === 'pulled') return this.pulled.get(stage ?? '') ?? 0;
    const meter =
      stage === undefined ? this.#theOnly(lane) : this.#meters().find(({ name }) => name === stage);
    if (!meter) return 0;
    if (gauge === 'demand') return hasRoom(meter) ? 1 : 0;
    return meter[gauge as 'active' | 'waiting' | 'dropped' | 'rejected' | 'dead' | 'retried'];
  }

  /** A lane without a stage's name: that of the only stage, or of the only one that has slots. */
  #theOnly(lane: string): StageMeter | undefined {
    const meters = this.#meters();
    const workers = meters.length > 1 ? meters.filter(({ slots }) => slots > 0) : meters;
    if (workers.length > 1 || (workers.length === 0 && meters.length > 1)) {
      const names = meters.map(({ name }) => `${name}.${lane}`).reverse();
      this.problems.add(`row ${lane}: say of which stage: ${names.join(', ')}`);
    }
    return workers[0];
  }
}

/** Whether a stage has room, in one of its subscriptions at least. One that has ended holds nothing. */
function hasRoom({ stages }: StageMeter): boolean {
  return stages.size === 0 || [...stages].some(({ demand }) => demand.open);
}

function parts(lane: string): { readonly stage: string | undefined; readonly gauge: string } {
  const dot = lane.lastIndexOf('.');
  return { stage: dot < 0 ? undefined : lane.slice(0, dot), gauge: lane.slice(dot + 1) };
}
