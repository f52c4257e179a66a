import { counted } from '../counted.ts';
import { MarblesError } from '../errors.ts';
import type { Happened, PlayedRow, Role } from './Played.ts';
import type { Mark, Picture, StreamRow } from './picture.ts';
import { Values } from './values.ts';
import type { VirtualClock } from './VirtualClock.ts';

/** What a row is played to. */
interface Listener {
  next(value: unknown): void;
  error(error: unknown): void;
  complete(): void;
}

/** One subscription that goes on: it plays its row, and notes what happens. */
export class Turn {
  readonly row: StreamRow;
  readonly played: PlayedRow;
  readonly #happened: Happened[] = [];
  ended = false;
  readonly #script: Script;

  constructor(script: Script, row: StreamRow, role: Role) {
    this.#script = script;
    this.row = row;
    this.played = { role, from: script.clock.now, happened: this.#happened };
  }

  /** Emits what the row has drawn, each mark in its column. The result stops it. */
  play(listener: Listener): () => void {
    const cancels = [...groups(this.row.marks)].map(([at, marks]) => {
      const name = `${this.row.name}: ${marks.map(signOfMark).join('')}`;
      return this.#script.clock.at(this.msOf(at), name, () => {
        for (const mark of marks) this.perform(mark, listener);
      });
    });
    return () => {
      for (const cancel of cancels) cancel();
    };
  }

  /** When a mark of the row is due: the row may have begun in another column than is drawn. */
  msOf(drawnAt: number): number {
    return drawnAt - this.row.from + this.played.from;
  }

  perform(mark: Mark, listener: Listener): void {
    if (this.ended || mark.kind === 'unsubscribe') return;
    const { at } = this;
    if (mark.kind === 'next') {
      const value = this.#script.values.valueOf(mark.label);
      this.note({ at, kind: 'next', value });
      listener.next(value);
    } else if (mark.kind === 'error') {
      const error = this.#script.errorOf(this.row.name);
      this.note({ at, kind: 'error', error });
      listener.error(error);
    } else {
      this.note({ at, kind: 'complete' });
      listener.complete();
    }
  }

  note(happened: Happened): void {
    if (this.#script.over || this.ended) return;
    this.#happened.push(happened);
    if (happened.kind !== 'next') this.ended = true;
  }

  /** The subscription was ended from below, if it had not ended by itself. */
  left(): void {
    this.note({ at: this.at, kind: 'unsubscribe' });
  }

  get at(): number {
    return this.#script.clock.now;
  }
}

/** The stream rows of a picture, and what became of them. */
export class Script {
  readonly clock: VirtualClock;
  readonly values: Values;
  /** The picture has ended: what happens now is cleaning up. */
  over = false;
  /** By name, in the order of subscription. */
  readonly played = new Map<string, PlayedRow[]>();
  /** What was asked for and is not drawn. */
  readonly missing: string[] = [];
  readonly turns: Turn[] = [];
  readonly #drawn = new Map<string, StreamRow[]>();
  readonly #asked = new Set<string>();
  readonly #errors: Readonly<Record<string, unknown>>;
  /** What the rows have thrown. */
  readonly thrown = new Set<unknown>();

  constructor(
    picture: Picture,
    clock: VirtualClock,
    values: Readonly<Record<string, unknown>>,
    errors: Readonly<Record<string, unknown>>,
  ) {
    this.clock = clock;
    this.values = new Values(values);
    this.#errors = errors;
    for (const row of picture.rows) {
      if (row.kind === 'stream') this.#drawn.set(row.name, [...this.rowsOf(row.name), row]);
    }
    for (const name of Object.keys(errors)) if (!this.#drawn.has(name)) this.#undrawn('errors name', name);
  }

  /** What comes out of the flow, once it is subscribed to. */
  get output(): Turn | undefined {
    return this.turns.find(({ played }) => played.role === 'output');
  }

  rowsOf(name: string): readonly StreamRow[] {
    return this.#drawn.get(name) ?? [];
  }

  /** Says that the wiring knows a row: it is not unread, even where it is never subscribed to. */
  ask(name: string): void {
    this.#asked.add(name);
    if (this.rowsOf(name).length > 0) return;
    throw this.#undrawn(name === 'output' ? 'a picture needs' : 'the wiring asks for', name);
  }

  /** Why a row has no subscription. */
  unplayed(name: string): string {
    if (this.#asked.has(name)) return 'never subscribed to';
    const asked = [...this.#asked].filter((other) => other !== 'output').join(', ');
    return `unread: the wiring never asks for it${asked === '' ? '' : `, only for ${asked}`}`;
  }

  /** The next row of a name begins. Throws where there is none. */
  begin(name: string, role: Role): Turn {
    this.ask(name);
    const before = this.played.get(name) ?? [];
    const row = this.rowsOf(name)[before.length];
    if (!row) {
      throw this.miss(
        `${name} is subscribed to in column ${this.clock.now}, and drawn are only ${counted(before.length, 'row')}`,
      );
    }
    const turn = new Turn(this, row, role);
    this.turns.push(turn);
    this.played.set(name, [...before, turn.played]);
    return turn;
  }

  /** What the `#` of a row throws: what `errors` has for it, or an error that names the row. */
  errorOf(name: string): unknown {
    const given = this.#errors[name];
    let error: unknown = given ?? new Error(`${name} failed`);
    if (typeof given === 'string') error = Object.assign(new Error(`${name} failed`), { code: given });
    else if (typeof given === 'function') error = Reflect.construct(given, [`${name} failed`]);
    this.thrown.add(error);
    return error;
  }

  #undrawn(who: string, name: string): MarblesError {
    return this.miss(
      `${who} row ${name}, which is not drawn; drawn are ${[...this.#drawn.keys()].join(', ')}`,
    );
  }

  miss(problem: string): MarblesError {
    if (!this.over && !this.missing.includes(problem)) this.missing.push(problem);
    return new MarblesError(problem);
  }
}

function groups(marks: readonly Mark[]): Map<number, Mark[]> {
  const groups = new Map<number, Mark[]>();
  for (const mark of marks) groups.set(mark.at, [...(groups.get(mark.at) ?? []), mark]);
  return groups;
}

function signOfMark(mark: Mark): string {
  return mark.kind === 'next' ? mark.label : { complete: '|', error: '#', unsubscribe: '!' }[mark.kind];
}
