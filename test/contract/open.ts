import assert from 'node:assert/strict';
import { flush, watch, within, type Law } from './law.ts';

/** What the kernel says and the code does not do yet. Whoever mends one moves it, with a twin, to the others. */
export const openLaws: readonly Law[] = [
  {
    rule: 'D4',
    says: 'raising a limit lets those who wait go on',
    open: 'limit is a plain field: nothing pumps when it is set (adaptive limits are not built)',
    async check(sluice) {
      const demand = new sluice.Demand(0);
      let resumed = 0;
      const waiting = {
        called: () => resumed++,
        queued: false,
        waits: false,
        behind: undefined,
        before: undefined,
      };
      demand.joinLine(waiting as never);
      demand.limit = 1;
      await flush();
      assert.equal(resumed, 1);
    },
    sabotage: [],
  },
  {
    rule: 'D11',
    says: 'an item that was pulled from an intake when its flow is left stays for the next subscriber',
    open: 'between the promise that is resolved and its reaction the item belongs to nobody',
    async check(sluice) {
      const { items$, offer, end } = sluice.intake<number>({ capacity: 3 });
      const first = watch(items$);
      await flush();
      void offer(1);
      first.subscription.unsubscribe();
      await flush();
      const second = watch(items$);
      end();
      await within(second.ended);
      assert.deepEqual([...first.values, ...second.values], [1]);
    },
    sabotage: [],
  },
];
