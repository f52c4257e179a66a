import { must, type Checks } from '../Law.ts';
import { forAWhile, quiet } from '../time.ts';
import { endOf, slowly, SOME, type SourceTrial } from './SourceTrial.ts';

/** How a source waits. */
export const demandChecks: Checks<SourceTrial> = {
  async 'gives nothing while those below have no room'({ make }) {
    const { below, seen } = slowly(make(SOME));
    for (let room = 1; room <= 3; room++) {
      await quiet();
      must(below.most <= 1, 'a stage below with one place to hold 1 at most', `${below.most} in it`);
      below.release();
    }
    seen.subscription.unsubscribe();
  },

  async 'goes on when those below have room again'({ make }) {
    const { below, seen } = slowly(make(SOME));
    for (let room = 0; room < SOME; room++) {
      await quiet();
      below.release();
    }
    await forAWhile(seen.ended);
    must(seen.values.length === SOME, `${SOME} items, one for each time that there was room`, endOf(seen));
    seen.subscription.unsubscribe();
  },
};
