import { announcedLaws } from './contract/announced.ts';
import { cellLaws } from './contract/cell.ts';
import { chainLaws } from './contract/chain.ts';
import { claimedLaws } from './contract/claimed.ts';
import { countedLaws } from './contract/counted.ts';
import { endingLaws } from './contract/ending.ts';
import { endingsLaws } from './contract/endings.ts';
import { inheritedLaws } from './contract/inherited.ts';
import { unclaimedLaws } from './contract/unclaimed.ts';
import { waitingLaws } from './contract/waiting.ts';
import { leftLaws } from './contract/left.ts';
import { nativeLaws } from './contract/natives.ts';
import { toldLaws } from './contract/told.ts';
import { cornerLaws } from './contract/corners.ts';
import { operatorLaws } from './contract/operators.ts';
import type { Law } from './contract/law.ts';

/** Everything that the kernel promises, each with the changes that break it. */
export const laws: readonly Law[] = [
  ...chainLaws,
  ...waitingLaws,
  ...countedLaws,
  ...endingLaws,
  ...cellLaws,
  ...announcedLaws,
  ...claimedLaws,
  ...unclaimedLaws,
  ...inheritedLaws,
  ...leftLaws,
  ...endingsLaws,
  ...nativeLaws,
  ...operatorLaws,
  ...toldLaws,
  ...cornerLaws,
];
