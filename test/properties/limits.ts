import type { Graph, Head, Inner, Op } from './graph.ts';

/** What docs/native-operators.md, "Limits", says that a graph may do. */
export interface Limits {
  /** Something comes outside of any call: `TICKET_LOST`. */
  readonly later: boolean;
  /** A queue is fed by what cannot wait: `QUEUE_OVERFLOW`. */
  readonly overflow: boolean;
  /** A window may fill with what is held: `TICKET_HELD`. */
  readonly window: boolean;
  /**
   * An item may be acknowledged before all that it became is stored, or where it is stored nowhere: _half_, _sources_,
   * _state_, _lag_; what it became comes outside of any call, and another item settles first; or a defect that is known.
   */
  readonly early: boolean;
  /** An item may be handed back in a run that completes: it was on its way when an operator ended, or threw. */
  readonly cut: boolean;
  /** By a defect that is known the run may not end, or an item may never be settled. */
  readonly stalls: boolean;
  /** Whether it may show a defect that is known, and not judged. */
  readonly knows: (defect: Known) => boolean;
}

/** Defects that are known, by what shows them. */
export type Known =
  /** Acknowledged early: `concatMap` begins with `of` when a source in its line has ended. */
  | 'of in a line of sources'
  /**
   * Acknowledged early: `concatMap` begins with an item when what `startWith` gave, which is none, has ended; and the run
   * does not end where a window is full of what is held there.
   */
  | 'a line behind what is no item'
  /** Acknowledged, and lost: the source has ended, or its inner stream is left, when `take`, `retry` or `catchError` lets go. */
  | 'a line that is left'
  /** Acknowledged, and lost: `retry` after an item had thrown gives what `startWith` has, in the call of that item. */
  | 'what is no item, again'
  /** Acknowledged: a native operator throws at one part of an item, when another that came in the same call was taken. */
  | 'a part that throws'
  /** Acknowledged early: what a timer gives to a stage above another one, in an inner stream, is taken without a ticket. */
  | 'a stage above a stage in an inner stream'
  /** The run does not end, or an item is not settled: one of a batch rides on another that waits for that batch. */
  | 'a ride in a circle'
  /** The same, where the items are of several sources, or of one that is subscribed again. */
  | 'tickets of several subscriptions in one'
  /** An item is settled twice, when its window is full; or the run does not end. */
  | 'a window that is full in the call of a stage'
  /** `TICKET_HELD` of fewer than a thousand. */
  | 'one item counted for each of its parts';

/**
 * Those that are not judged, as long as they are there: one that is taken out is. `GRAPH_KNOWN=judged`: all are.
 */
export const UNJUDGED: readonly Known[] =
  process.env['GRAPH_KNOWN'] === 'judged' ? [] : ['a line behind what is no item', 'a part that throws'];

/** Those by which a run does not end. */
const STALLS: readonly Known[] = [
  'a line behind what is no item',
  'a ride in a circle',
  'tickets of several subscriptions in one',
  'a window that is full in the call of a stage',
];

/** Those by which an item is acknowledged too early, or where it is lost. */
const EARLY: readonly Known[] = [
  'of in a line of sources',
  'a line behind what is no item',
  'a line that is left',
  'what is no item, again',
  'a part that throws',
  'a stage above a stage in an inner stream',
];

/** What can be found at one place of a chain. */
interface Place {
  /** One call brings several parts of an item; or several items. */
  readonly split: 'no' | 'parts' | 'items';
  /** More than one source emits here, one after the other or at once. */
  readonly several: boolean;
  /** Some values are no part of an item. */
  readonly foreign: boolean;
  /** Some values come without a source of ours. */
  readonly pushed: boolean;
  /** Some values come from a source of ours. */
  readonly pulled: boolean;
  /** Native operators above keep items that a source has given. */
  readonly kept: boolean;
  /** A source inside is an acknowledged one. */
  readonly own: boolean;
  /** A stage of ours is above. */
  readonly staged: boolean;
}

const SOURCE: Place = {
  split: 'no',
  several: false,
  foreign: false,
  pushed: false,
  pulled: true,
  kept: false,
  own: false,
  staged: false,
};

class Reader {
  later = false;
  overflow = false;
  early = false;
  cut = false;
  /** Several items get a ticket in common. */
  groups = false;
  /** Something fails, and goes on. */
  fails = false;
  /** Something is swallowed, or held. */
  swallows = false;
  readonly known = new Set<Known>();

  /** What a chain of operators makes of a place. `outer`: below the sources. */
  chain(ops: readonly Op[], from: Place, outer: boolean): Place {
    let place = from;
    for (const op of ops) place = this.#op(op, place, outer);
    return place;
  }

  inner({ head, ops }: Inner): Place {
    const before = this.later;
    this.later = false;
    const place = this.chain(ops, this.#head(head), false);
    if (this.later && ops.some(isStage)) this.known.add('a stage above a stage in an inner stream');
    this.later ||= before;
    return place;
  }

  #head(head: Head): Place {
    switch (head.kind) {
      case 'of':
        return { ...SOURCE, split: head.parts > 1 ? 'parts' : 'no', pushed: true, pulled: false };
      case 'fromPull':
        return { ...SOURCE, own: head.own };
      case 'empty':
        this.swallows = true;
        return { ...SOURCE, pushed: true, pulled: false };
      case 'failing':
        this.fails = true;
        if (head.then === 'retry later') this.later = true;
        return { ...SOURCE, several: true, pushed: head.then === 'of' };
      case 'timer':
        this.later = true;
        return { ...SOURCE, pushed: true, pulled: false };
      case 'merge':
      case 'concat': {
        const [one, other] = [this.inner(head.inners[0]), this.inner(head.inners[1])];
        return {
          split: 'parts',
          several: true,
          foreign: false,
          pushed: one.pushed || other.pushed,
          pulled: one.pulled || other.pulled,
          kept: one.kept || other.kept,
          own: one.own || other.own,
          staged: one.staged || other.staged,
        };
      }
    }
  }

  #op(op: Op, place: Place, outer: boolean): Place {
    const items = place.split === 'items';
    switch (op.kind) {
      case 'map':
      case 'tap':
      case 'drops':
      case 'filterOr':
        return place;
      case 'filter':
        this.swallows = true;
        return place;
      case 'take':
      case 'takeWhile':
        this.cut = true;
        if (place.kept) this.known.add('a line that is left');
        // Ends in the middle of what one call brings: that settles with the part that got through. _lag_, _half_.
        if (items) this.early = true;
        return place;
      case 'scan':
      case 'pairwise':
        // _state_: an item settles the first time, also where that was filtered.
        this.early = true;
        this.swallows = true;
        return place;
      case 'startWith':
      case 'endWith':
        return {
          ...place,
          split: items ? 'items' : 'parts',
          foreign: outer || place.own || place.foreign,
          pushed: true,
        };
      case 'bufferCount':
        if (op.size > 1) this.#holds(place);
        this.swallows = true;
        return { ...place, kept: true, split: op.unpack && op.size > 1 ? 'items' : place.split };
      case 'retry':
        this.fails = true;
        if (outer || place.own || place.kept || place.staged) this.cut = true;
        if (items) this.early = true;
        if (op.delayMs !== undefined) this.later = true;
        if (place.foreign) this.known.add('what is no item, again');
        if (place.split !== 'no') this.known.add('a part that throws');
        if (place.kept) this.known.add('a line that is left');
        return { ...place, several: true };
      case 'repeat':
        if (op.delayMs !== undefined) this.later = true;
        return { ...place, several: true };
      case 'catchError':
      case 'concatWith': {
        const by = this.inner(op.by);
        if (items) this.early = true;
        if (op.kind === 'catchError') this.cut = true;
        if (op.kind === 'catchError' && place.kept) this.known.add('a line that is left');
        return {
          split: items || by.split === 'items' ? 'items' : 'parts',
          several: true,
          foreign: outer || place.own || by.own || place.foreign,
          pushed: place.pushed || by.pushed,
          pulled: place.pulled || by.pulled,
          kept: place.kept || by.kept,
          own: place.own || by.own,
          staged: place.staged || by.staged,
        };
      }
      case 'flatten': {
        const inners = op.inners.map((inner) => this.inner(inner));
        const pushed = inners.some((inner) => inner.pushed);
        const pulled = inners.some((inner) => inner.pulled);
        const keeps = op.how === 'concatMap' || op.how === 'mergeMap, 2';
        if (pulled) this.known.add('one item counted for each of its parts');
        if (pulled && place.staged) this.known.add('a window that is full in the call of a stage');
        if (op.how !== 'mergeMap') this.swallows = true;
        if (pulled && place.foreign) this.known.add('a line behind what is no item');
        if (keeps) this.#keeps(place, pushed && pulled);
        // A stream that is left hands back what it holds, or what waits behind it.
        if (op.how === 'switchMap' && pulled) this.cut = true;
        if (op.how === 'switchMap' && inners.some(({ staged }) => staged)) this.cut = true;
        const parts = place.split !== 'no' || inners.some(({ split }) => split !== 'no');
        return {
          split: items || inners.some(({ split }) => split === 'items') ? 'items' : parts ? 'parts' : 'no',
          several: true,
          foreign: place.foreign,
          pushed: place.pushed || pushed,
          pulled: place.pulled || pulled,
          kept: pulled || place.kept,
          own: place.own || inners.some(({ own }) => own),
          staged: place.staged || inners.some(({ staged }) => staged),
        };
      }
      case 'poolMap':
        if (typeof op.work === 'object') this.#work(op.work);
        return { ...SOURCE, staged: true, own: place.own, foreign: place.foreign };
      case 'batch':
        this.groups = true;
        return {
          ...SOURCE,
          staged: true,
          own: place.own,
          foreign: place.foreign,
          split: op.unpack && op.maxItems > 1 ? 'items' : 'no',
        };
      case 'boundedQueue':
        if (place.split !== 'no' || place.several || this.later) this.overflow = true;
        return { ...SOURCE, staged: true, own: place.own, foreign: place.foreign };
      case 'broadcast':
      case 'route':
        for (const branch of op.branches) this.chain(branch, { ...SOURCE, foreign: place.foreign }, outer);
        return { ...SOURCE, staged: true, own: place.own, foreign: true };
    }
  }

  /** What is in the work of a pool counts as a whole; a queue in there may be too small all the same. */
  #work(work: Inner): void {
    const reader = new Reader();
    reader.inner(work);
    if (reader.overflow) this.overflow = true;
  }

  /** An operator holds items until others come. _sources_, _half_. */
  #holds(place: Place): void {
    if (place.several || place.foreign || place.split !== 'no') this.early = true;
  }

  /** An operator holds items until an inner stream has ended. _half_. */
  #keeps(place: Place, mixed: boolean): void {
    if (place.split !== 'no') this.early = true;
    if (mixed) this.known.add('of in a line of sources');
    if (place.foreign) this.known.add('a line behind what is no item');
  }
}

function isStage({ kind }: Op): boolean {
  return ['poolMap', 'batch', 'boundedQueue', 'filterOr', 'broadcast', 'route'].includes(kind);
}

export function limitsOf({ supplies, ops }: Graph): Limits {
  const reader = new Reader();
  const end = reader.chain(ops, { ...SOURCE, several: supplies.length > 1 }, true);
  const knows = (defect: Known): boolean => UNJUDGED.includes(defect) && reader.known.has(defect);
  if (
    end.own ||
    supplies.length > 1 ||
    ops.some(({ kind }) => ['retry', 'repeat', 'catchError', 'concatWith'].includes(kind))
  )
    reader.known.add('tickets of several subscriptions in one');
  const { later, overflow, early, cut, groups, fails, swallows } = reader;
  if (groups && (later || swallows || reader.known.has('one item counted for each of its parts')))
    reader.known.add('a ride in a circle');
  return {
    later,
    overflow,
    window:
      supplies.some(({ maxPending }) => maxPending !== undefined) ||
      knows('one item counted for each of its parts'),
    early: early || later || EARLY.some(knows),
    // What is held when something fails is handed back with that.
    cut: cut || later || (fails && swallows),
    stalls: STALLS.some(knows),
    knows,
  };
}
