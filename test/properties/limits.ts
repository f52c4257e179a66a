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
   * _state_, _lag_; or what it became comes outside of any call, and it is settled by then.
   */
  readonly early: boolean;
  /** An item may be handed back in a run that completes: it was on its way when an operator ended, or threw. */
  readonly cut: boolean;
  /** The run may not end, or an item may never be settled. */
  readonly stalls: boolean;
}

/** `GRAPH_LIMITS=judged`: what docs/native-operators.md says of `startWith` is judged as well. */
const JUDGES_ALL = process.env['GRAPH_LIMITS'] === 'judged';

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
  /** Something fails, and goes on. */
  fails = false;
  /** Something is swallowed, or held. */
  swallows = false;
  /** `startWith` above `concatMap` to sources: what is held behind that value, which is no item. */
  behindNone = false;

  /** What a chain of operators makes of a place. `outer`: below the sources. */
  chain(ops: readonly Op[], from: Place, outer: boolean): Place {
    let place = from;
    for (const op of ops) place = this.#op(op, place, outer);
    return place;
  }

  inner({ head, ops }: Inner): Place {
    return this.chain(ops, this.#head(head), false);
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
        return { ...place, several: true };
      case 'repeat':
        if (op.delayMs !== undefined) this.later = true;
        return { ...place, several: true };
      case 'catchError':
      case 'concatWith': {
        const by = this.inner(op.by);
        if (items) this.early = true;
        if (op.kind === 'catchError') this.cut = true;
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
        if (op.how !== 'mergeMap') this.swallows = true;
        if (pulled && place.foreign) this.behindNone = true;
        if (keeps) this.#keeps(place);
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
  #keeps(place: Place): void {
    if (place.split !== 'no') this.early = true;
    if (place.foreign) this.behindNone = true;
  }
}

export function limitsOf({ supplies, ops }: Graph): Limits {
  const reader = new Reader();
  reader.chain(ops, { ...SOURCE, several: supplies.length > 1 }, true);
  const { later, overflow, early, cut, fails, swallows } = reader;
  const behindNone = reader.behindNone && !JUDGES_ALL;
  return {
    later,
    overflow,
    window: supplies.some(({ maxPending }) => maxPending !== undefined),
    early: early || later || behindNone,
    // What is held when something fails is handed back with that.
    cut: cut || later || (fails && swallows),
    stalls: behindNone,
  };
}
