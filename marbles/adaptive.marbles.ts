import { map, mergeMap, throwError, timer, type Observable } from 'rxjs';
import { adaptive, poolMap } from 'sluice';
import type { Marble } from 'sluice/testing';

/** A service that takes as long for each, however many there are. */
const service = (letter: string): Observable<string> => timer(6).pipe(map(() => letter));
const refusing = (error: unknown): Observable<never> =>
  timer(7).pipe(mergeMap(() => throwError(() => error)));
/** `a` and what it asked for are answered; then it has too much to do. */
const full = (letter: string): Observable<string> =>
  letter < 'd' ? service(letter) : refusing({ status: 429 });
/** It has bad data to tell of, and time enough. */
const unlucky = (letter: string): Observable<string> =>
  letter < 'd' ? service(letter) : refusing(new Error('bad'));

export const adaptiveMarbles: readonly Marble[] = [
  {
    title: 'one more a round, where all are busy and are as quick as before',
    picture: `
      source  abcdefg|
      output  ------a-----b-----(cd)--(efg|)
      active  1-----------2-----3-----0
    `,
    wiring: ({ pulled }) =>
      pulled().pipe(poolMap(service, { concurrency: adaptive({ min: 1, max: 9 }), ordered: true })),
  },
  {
    title: 'no more than max',
    picture: `
      source  abcdefg|
      output  ------a-----b-----(cd)--(ef)--(g|)
      active  1-----------2-----------1-----0
    `,
    wiring: ({ pulled }) =>
      pulled().pipe(poolMap(service, { concurrency: adaptive({ min: 1, max: 2 }), ordered: true })),
  },
  {
    title: 'no more where there is not enough to do',
    picture: `
      source  a------b------c------(def|)
      output  ------a------b------c------(de)--(f|)
      active  1-----01-----01-----02-----1-----0
    `,
    wiring: ({ pulled }) =>
      pulled().pipe(poolMap(service, { concurrency: adaptive({ min: 2, max: 9 }), ordered: true })),
  },
  {
    title: 'less when the service says that it has too much to do',
    picture: `
      source  abcdefghi|
      output  ------a-----b-----c--------------|
      active  1-----------2-----3------2------10
    `,
    wiring: ({ pulled }) =>
      pulled().pipe(poolMap(full, { concurrency: adaptive({ min: 1, max: 9 }), onFailure: 'drop' })),
  },
  {
    title: 'as many when other work fails, which says nothing of the load',
    picture: `
      source  abcdefghi|
      output  ------a-----b-----c-------------|
      active  1-----------2-----3-------2-----0
    `,
    wiring: ({ pulled }) =>
      pulled().pipe(poolMap(unlucky, { concurrency: adaptive({ min: 1, max: 9 }), onFailure: 'drop' })),
  },
  {
    title: 'less where more only wait for one another',
    picture: `
      source  abcdefghijklmnopqrstuvwxyz|
      output  --a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-(z|)
      active  1---2-3-4---5---6-----7-------6---------5---4-3-2-1-0
    `,
    wiring: ({ pulled }) => {
      let inService = 0;
      const single = (letter: string): Observable<string> =>
        timer(2 * ++inService).pipe(
          map(() => {
            inService--;
            return letter;
          }),
        );
      return pulled().pipe(poolMap(single, { concurrency: adaptive({ min: 1, max: 9 }), ordered: true }));
    },
  },
];
