import type { Subscriber } from 'rxjs';
import { StageMeter, type StageIdentity } from '../metrics/StageMeter.ts';
import type { Demand } from './Demand.ts';
import { Place } from './Place.ts';

/** What counts a stage that stands in the call, without a demand of its own: in the run that it belongs to, if there is one. */
export function meterOf(
  identity: StageIdentity,
  subscriber: Subscriber<never>,
  below: Demand | undefined,
): StageMeter {
  const run = below?.owner?.run;
  if (!below || !run) return new StageMeter(identity);
  return run.meter(identity, Place.of(subscriber, below).inner);
}
