import { Observable, type Subscriber } from 'rxjs';
import { counted } from '../counted.ts';
import { MarblesError } from '../errors.ts';
import type { FlowReport } from '../flow/report.ts';
import { runFlow, type FlowRun } from '../flow/runFlow.ts';
import { demandBelow } from '../rx/chain.ts';
import { link } from '../rx/link.ts';
import { namedError, thrownError, type ExpectedError } from './expectedError.ts';
import { Gauges } from './Gauges.ts';
import type { MarblesOptions, Wiring } from './Marble.ts';
import { observableOf } from './observableOf.ts';
import { readPicture } from './notation.ts';
import type { LaneRow, Picture, StreamRow } from './picture.ts';
import { collectRejections } from './platform.ts';
import { rowsOf } from './Rows.ts';
import { Script, type Turn } from './Script.ts';
import { Timeline } from './timeline.ts';
import { shown } from './values.ts';
import { leftOver, stillToCome } from './timers.ts';
import { verdict } from './verdict.ts';
import { VirtualClock, type Choose } from './VirtualClock.ts';

/** What happened, and the report of the run as it stood at the end of the picture. */
export interface Play {
  /** Undefined: it is as the picture says. */
  readonly failure: string | undefined;
  /** What is wrong whatever the picture says: something stayed behind, or was not asked for. */
  readonly faults: readonly string[];
  readonly report: FlowReport;
  /** The values that came out. */
  readonly output: readonly unknown[];
}

let playing: Promise<unknown> | undefined;

/** Plays a picture; there is one clock, so one at a time. */
export function play(text: string, wiring: Wiring, options: MarblesOptions, choose: Choose): Promise<Play> {
  const mine = (async () => {
    await playing;
    return new Player(text, wiring, options).play(choose);
  })();
  playing = mine.catch(() => undefined);
  return mine;
}

class Player {
  readonly #picture: Picture;
  readonly #time: Timeline;
  readonly #wiring: Wiring;
  readonly #options: MarblesOptions;
  readonly #gauges: Gauges;
  readonly #warnings: string[] = [];
  /** The last column. */
  readonly #end: number;
  /** What is to be done from outside at the end of this column. */
  readonly #lastOfColumn: (() => void)[] = [];
  #run: FlowRun | undefined;
  #runEnded = false;

  constructor(text: string, wiring: Wiring, options: MarblesOptions) {
    this.#picture = readPicture(text);
    this.#time = new Timeline(this.#picture.skips ?? []);
    this.#wiring = wiring;
    this.#options = options;
    this.#gauges = new Gauges(this.#picture.rows.filter((row): row is LaneRow => row.kind === 'lane'));
    this.#end = Math.max(...this.#picture.rows.map((row) => lastOf(row, this.#time)));
  }

  async play(choose: Choose): Promise<Play> {
    const clock = new VirtualClock(choose);
    const rejections = collectRejections();
    try {
      const { values = {}, errors = {} } = this.#options;
      const script = new Script(this.#picture, clock, values, errors);
      const flow: unknown = clock.watch(() => this.#wiring(rowsOf(script, this.#gauges.pulled)));
      this.#stage(script, observableOf(flow));
      await this.#playOut(clock);
      return await this.#judge(script, rejections.found);
    } finally {
      rejections.stop();
      clock.uninstall();
    }
  }

  /** Sets what is to be done from outside: subscribing, unsubscribing, drain and abort. */
  #stage(script: Script, flow: Observable<unknown>): void {
    script.ask('output');
    const [output] = script.rowsOf('output') as [StreamRow];
    const stops = this.#stops(script);
    for (const name of stops) {
      if (script.rowsOf(name).every(({ marks }) => marks.every(({ kind }) => kind !== 'unsubscribe'))) {
        throw new MarblesError(`row ${name} does nothing: draw ! in the column of the ${name}`);
      }
      this.#act(script, name, () => void (name === 'drain' ? this.#run?.drain() : this.#run?.abort()));
    }
    let leave = (): void => undefined;
    if (stops.length === 0 && !this.#options.run)
      this.#act(script, 'output', () => {
        leave();
      });
    script.clock.at(output.from, 'output is subscribed to', () => {
      const watched = new Observable((subscriber) => {
        leave = this.#subscribe(flow, subscriber, script.begin('output', 'output'));
      });
      this.#start(watched);
    });
  }

  /** Rows that are drawn whose `!` is done to the run. */
  #stops(script: Script): string[] {
    return ['drain', 'abort'].filter((name) => script.rowsOf(name).length > 0);
  }

  /** Does something in the column of a row's `!`: first of all in it, or last, where the row has values in it too. */
  #act(script: Script, name: string, run: () => void): void {
    script.ask(name);
    for (const { marks } of script.rowsOf(name)) {
      const stop = marks.find(({ kind }) => kind === 'unsubscribe');
      if (!stop) continue;
      const last = marks.some(({ at, kind }) => at === stop.at && kind === 'next');
      script.clock.at(stop.at, `${name}: !`, () => {
        if (last) this.#lastOfColumn.push(run);
        else run();
      });
    }
  }

  #start(flow: Observable<unknown>): void {
    const onWarning = (message: string): void => {
      this.#warnings.push(message);
      this.#options.run?.onWarning?.(message);
    };
    this.#run = runFlow(flow, { ...this.#options.run, onWarning });
    const ended = (): void => {
      this.#runEnded = true;
    };
    this.#run.then(ended, ended).catch(() => undefined);
  }

  #subscribe(flow: Observable<unknown>, subscriber: Subscriber<unknown>, turn: Turn): () => void {
    this.#gauges.attach(demandBelow(subscriber)?.owner?.run);
    const inlet = link<unknown, unknown>(subscriber, {
      next(value) {
        turn.note({ at: turn.at, kind: 'next', value });
        subscriber.next(value);
      },
      error(error) {
        turn.note({ at: turn.at, kind: 'error', error });
        subscriber.error(error);
      },
      complete() {
        turn.note({ at: turn.at, kind: 'complete' });
        subscriber.complete();
      },
    });
    inlet.add(() => {
      turn.left();
    });
    flow.subscribe(inlet);
    return () => {
      inlet.unsubscribe();
    };
  }

  /** Goes from one column in which something happens to the next. */
  async #playOut(clock: VirtualClock): Promise<void> {
    for (let at = 0; ; at = Math.min(this.#end, Math.max(at + 1, clock.next ?? Infinity))) {
      await clock.advanceTo(at);
      for (const run of this.#lastOfColumn.splice(0)) clock.watch(run);
      await clock.settle();
      this.#gauges.sample(at);
      if (at === this.#end) return;
    }
  }

  async #judge(script: Script, rejections: readonly unknown[]): Promise<Play> {
    const { clock } = script;
    script.over = true;
    const report = this.#run?.report();
    if (!report)
      throw new MarblesError('the output was never subscribed to: its row begins after the picture ends');
    const pending = this.#pending(script);
    const { output } = script;
    const ended = output?.ended ?? false;
    const byRun = this.#stops(script).length > 0 || this.#options.run !== undefined;
    const timers = ended ? [] : clock.leftOver; // those of a flow that goes on: the end of the picture clears them
    void this.#run?.abort();
    await clock.settle();
    const cleared = timers.filter(({ cancelled }) => cancelled);

    const { allow = [] } = this.#options;
    const unless = <T>(kind: (typeof allow)[number], found: readonly T[], words: (one: T) => string) =>
      allow.includes(kind) ? [] : found.map(words);
    const faults = [
      ...script.missing,
      ...this.#picture.rows.flatMap(({ kind, name }) =>
        kind === 'lane' ? (this.#gauges.unread(name) ?? []) : [],
      ),
      ...this.#gauges.problems,
      ...clock.uncaught.map((error) => `nobody caught ${shown(error)}`),
      ...unless('pending', pending, (words) => words),
      ...unless('timers', cleared, (job) => stillToCome(job, byRun)),
      ...unless('timers', clock.leftOver, (job) => leftOver(job, ended)),
      ...unless(
        'realTimers',
        clock.realTimers,
        (what) => `this clock cannot turn it, a real timer was started: ${what}`,
      ),
      ...unless(
        'rejections',
        rejections,
        (why) => `nobody handled the rejection of a promise: ${shown(why)}`,
      ),
      ...unless('warnings', this.#warnings, (message) => `sluice warned: ${message}`),
    ];
    const failure = verdict(this.#picture, this.#time, {
      rows: script.played,
      gauges: this.#gauges,
      values: script.values,
      unplayed: (row) => script.unplayed(row),
      expectedError: (row) => this.#expectedError(row, script),
      faults,
      end: this.#end,
    });
    const happened = output?.played.happened ?? [];
    const values = happened.flatMap((each) => (each.kind === 'next' ? [each.value] : []));
    return { failure, faults, report, output: values };
  }

  /** Work that has not settled, but for rows that are drawn without an end. */
  #pending(script: Script): string[] {
    const { output } = script;
    const left = output?.played.happened.at(-1)?.kind === 'unsubscribe';
    if (output?.ended) {
      if (left || this.#runEnded) return [];
      return ['a promise is still pending: the run waits for something that closes, or for a handler'];
    }
    const pending: string[] = [];
    let drawn = script.turns.filter((turn) => turn.played.role === 'inner' && !turn.ended).length;
    for (const { stage, active } of this.#gauges.atWork()) {
      const drawnHere = Math.min(drawn, active);
      drawn -= drawnHere;
      if (active > drawnHere) {
        pending.push(
          `work is still pending: ${counted(active - drawnHere, 'item')} in ${stage} never settled; real I/O and real timers cannot come in virtual time`,
        );
      }
    }
    return pending;
  }

  #expectedError(row: string, script: Script): ExpectedError {
    const expected = this.#options.errors?.[row];
    return row === 'output' && expected !== undefined ? namedError(expected) : thrownError(script.thrown);
  }
}

function lastOf(row: Picture['rows'][number], time: Timeline): number {
  if (row.kind === 'stream') return time.msAt(time.columnAt(row.from) + row.text.length - 1);
  return row.changes.at(-1)?.at ?? 0;
}
