import { describe, expect, test } from 'vitest';
import { readPicture } from '../../src/testing/notation.ts';

describe('readPicture', () => {
  test('a row begins in its column, and ends at its last mark', () => {
    const { rows } = readPicture(`
      source  ab-c|
      a       ----A|
      b        --#
    `);
    expect(rows).toMatchObject([
      { kind: 'stream', name: 'source', from: 0, text: 'ab-c|' },
      { name: 'a', from: 0 },
      { name: 'b', from: 1, marks: [{ at: 3, kind: 'error' }] },
    ]);
    expect(rows[0]).toHaveProperty('marks', [
      { at: 0, kind: 'next', label: 'a' },
      { at: 1, kind: 'next', label: 'b' },
      { at: 3, kind: 'next', label: 'c' },
      { at: 4, kind: 'complete' },
    ]);
  });

  test('all of a group is in the column of its bracket, and the group takes its columns', () => {
    const { rows } = readPicture('source  -(ab)c(d!)');
    expect(rows[0]).toHaveProperty('marks', [
      { at: 1, kind: 'next', label: 'a' },
      { at: 1, kind: 'next', label: 'b' },
      { at: 5, kind: 'next', label: 'c' },
      { at: 6, kind: 'next', label: 'd' },
      { at: 6, kind: 'unsubscribe' },
    ]);
  });

  test('a lane has a value only where it changes; letters go on after 9', () => {
    const { rows } = readPicture('source  a|\nfetch.active  0-9a-b');
    expect(rows[1]).toMatchObject({ kind: 'lane', name: 'fetch.active' });
    expect(rows[1]).toHaveProperty('changes', [
      { at: 6, value: 0 },
      { at: 8, value: 9 },
      { at: 9, value: 10 },
      { at: 11, value: 11 },
    ]);
  });

  test('a skip takes its time in every row', () => {
    const { rows, skips } = readPicture(`
      source  -#
      source        -a 10ms |
      output  -- 1s -b------|
    `);
    expect(skips).toEqual([
      { column: 2, columns: 4, at: 2, ms: 1_000 },
      { column: 8, columns: 6, at: 1_004, ms: 10 },
    ]);
    expect(rows).toMatchObject([
      { from: 0, marks: [{ at: 1 }] },
      { from: 1_002, marks: [{ at: 1_003 }, { at: 1_014 }] },
      { from: 0, marks: [{ at: 1_003 }, { at: 1_014 }] },
    ]);
  });

  test.each([
    ['', 'a picture without rows'],
    ['source', 'not a row of a picture (a name, then its signals): source'],
    ['source  a b|', 'row source, column 1: a space; draw - where nothing happens'],
    ['source  a|-b', 'row source, column 3: b after the end of the row'],
    ['source  a(b|', 'row source, column 1: a group that is not closed'],
    ['source  a()|', 'row source, column 2: an empty group'],
    ['source  a)|', 'row source, column 1: ) does not belong here'],
    ['source  (a-b)|', 'row source, column 2: - does not belong here'],
    ['active  1-1', 'row active, column 2: 1 again; draw - where nothing changes'],
    ['active  1-A', 'row active, column 2: A is not a value of a lane (0 to 9, then a to z)'],
    ['active  --', 'row active: a lane without a value'],
    [
      'source  a 1s |\noutput  a-b--|',
      'row output, column 2: a signal where time is skipped: row source skips 1s in columns 1–4; draw the same skip here, or -',
    ],
    [
      'source  a 1s |\na         b|',
      'row a, column 2: a row begins where time is skipped: row source skips 1s in columns 1–4',
    ],
    ['source  a 1s |\noutput  a 2s |', 'row output, column 1: another time here than row source draws'],
    ['source\t\ta|', 'row source: a tab has no width; align with spaces'],
  ])('%j is refused, with the place', (text, message) => {
    expect(() => readPicture(text)).toThrow(message);
  });
});
