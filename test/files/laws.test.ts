import { existsSync, readFileSync } from 'node:fs';
import { afterAll, describe, test } from 'vitest';
import { fileCheckpoint, fromCsv, fromLines, fromNdjson, toCsv, toNdjson } from 'sluice/files';
import { deliveryLaws, sinkLaws, sourceLaws, type Law } from '../../src/testing/laws/index.ts';
import { TestFolder } from './folder.ts';

const folder = new TestFolder();
afterAll(() => folder[Symbol.dispose]());
let made = 0;
const newPath = (end: string): string => `${folder.path}/${++made}.${end}`;

const holds = (laws: readonly Law[]): void => {
  for (const { name, check } of laws) test(name, check);
};

const lines = (path: string): string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];

interface Row {
  readonly n: number;
}
const row = (n: number): Row => ({ n });
const columns = ['n'] as const;
const impossible = { n: { toJSON: () => 1n } } as unknown as Row;

describe('toNdjson', () => {
  let path = '';
  const make = () => toNdjson((path = newPath('ndjson')), { append: true });
  const stored = (): number[] => lines(path).map(Number);
  holds(sinkLaws<unknown>('toNdjson', make, { stored, bad: () => 1n, time: 'real' }));

  const observed = () => {
    const own = newPath('ndjson');
    return { sink: toNdjson(own, { append: true }), stored: () => lines(own).map(Number) };
  };
  holds(deliveryLaws<unknown>('toNdjson', observed, { time: 'real' }));

  const withCheckpoint = () => {
    const own = newPath('ndjson');
    const checkpoint = fileCheckpoint(`${own}.checkpoint`);
    return { sink: toNdjson(own, { append: true, checkpoint }), stored: () => lines(own).map(Number) };
  };
  holds(deliveryLaws<unknown>('toNdjson, with a checkpoint', withCheckpoint, { time: 'real' }));
});

describe('toCsv', () => {
  let path = '';
  const make = () => toCsv<Row>((path = newPath('csv')), { columns, append: true });
  const rowsOf = (file: string): string[] => lines(file).slice(1);
  const stored = (): number[] => rowsOf(path).map(Number);
  const key = ({ n }: Row): number => n;
  holds(sinkLaws<Row>('toCsv', make, { input: row, stored, key, bad: () => impossible, time: 'real' }));

  const observed = () => {
    const own = newPath('csv');
    return {
      sink: toCsv<Row>(own, { columns, append: true }),
      stored: () => rowsOf(own).map(Number),
    };
  };
  holds(deliveryLaws<Row>('toCsv', observed, { input: row, key, time: 'real' }));
});

describe('files that are replaced as a whole', () => {
  holds(sinkLaws<unknown>('toNdjson', () => toNdjson(newPath('ndjson')), { bad: () => 1n, time: 'real' }));
  const make = () => toCsv<Row>(newPath('csv'), { columns });
  holds(sinkLaws<Row>('toCsv', make, { input: row, bad: () => impossible, time: 'real' }));
});

describe('sources', () => {
  const file = (count: number): string =>
    folder.file(`${count}.numbers`, Array.from({ length: count }, (_, i) => `${i}\n`).join(''));
  const csv = (count: number): string =>
    folder.file(`${count}.csv`, `n\n${Array.from({ length: count }, (_, i) => `${i}\n`).join('')}`);
  const brokenLines = folder.file('broken.lines', Buffer.from([49, 10, 50, 10, 0xff, 10, 52, 10]));
  const brokenNdjson = folder.file('broken.ndjson', '1\n2\noops\n4\n');
  const brokenCsv = folder.file('broken.csv', 'n\n1\n2\n3,3\n4\n');
  const settings = { time: 'real', maxItems: 20_000 } as const;

  holds(
    sourceLaws('fromLines', (count) => fromLines(file(count)), {
      ...settings,
      failing: () => fromLines(brokenLines),
    }),
  );
  holds(
    sourceLaws('fromNdjson', (count) => fromNdjson(file(count)), {
      ...settings,
      failing: () => fromNdjson(brokenNdjson),
    }),
  );
  holds(
    sourceLaws('fromCsv', (count) => fromCsv(csv(count)), { ...settings, failing: () => fromCsv(brokenCsv) }),
  );
});
