import { describe, expect, test } from 'vitest';
import { readPicture } from '../src/testing/notation.ts';
import type { Picture } from '../src/testing/picture.ts';
import { paint } from './paint.ts';

interface Shape {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
}

/** The elements of an SVG as they are written: one a line. Throws where one is not well formed. */
function shapesOf(svg: string): Shape[] {
  const open: string[] = [];
  const shapes: Shape[] = [];
  for (const [, text, closing, name, attributes = '', empty] of svg.matchAll(
    /([^<]*)<(\/?)([\w-]+)((?: [\w:-]+="[^"<]*")*)(\/?)>/gy,
  )) {
    if (/&(?!(?:amp|lt|gt|quot);)|>/.test(`${text ?? ''}${attributes}`))
      throw new Error(`not escaped: ${text}`);
    if (closing) {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing`);
      const last = shapes.findLast((shape) => shape.name === name);
      if (last && last.text === '') Object.assign(last, { text });
    } else {
      const pairs = [...attributes.matchAll(/ ([\w:-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]);
      shapes.push({ name: name!, attributes: Object.fromEntries(pairs) as Record<string, string>, text: '' });
      if (!empty) open.push(name!);
    }
  }
  if (open.length > 0) throw new Error(`${open.join(', ')} not closed`);
  return shapes;
}

const drawn = (picture: string, title = 'A title', call?: string): Shape[] =>
  shapesOf(paint(readPicture(picture), { title, call }));

/** The shapes of a class, whatever other classes they have. */
const ofClass = (shapes: readonly Shape[], name: string): Shape[] =>
  shapes.filter(({ attributes }) => attributes['class']?.split(' ').includes(name));

const textsOf = (shapes: readonly Shape[], name: string): string[] =>
  ofClass(shapes, name).map(({ text }) => text);

const number = (shape: Shape | undefined, key: string): number => Number(shape?.attributes[key]);

describe('a stream', () => {
  test('is marbles with their letters, in columns of one width', () => {
    const shapes = drawn('source a-bC|');
    expect(textsOf(shapes, 'letter')).toEqual(['a', 'b', 'C']);
    const [a, b, c] = shapes.filter(({ name }) => name === 'circle').map((shape) => number(shape, 'cx'));
    expect(b! - a!).toBe(2 * (c! - b!));
    expect(ofClass(shapes, 'item')).toHaveLength(2);
    expect(ofClass(shapes, 'result')).toHaveLength(1);
  });

  test('gives a letter and its capital one colour, in every picture', () => {
    const hue = (picture: string, label: string): string | undefined => {
      const shapes = drawn(picture);
      const circle = shapes[shapes.findIndex(({ text }) => text === label) - 1];
      return circle?.attributes['class']?.replace(/\w+ /, '');
    };
    expect(hue('source xya|', 'a')).toMatch(/^h\d$/);
    expect(hue('source xya|', 'a')).toBe(hue('output ---A|', 'A'));
    expect(hue('source ab|', 'a')).not.toBe(hue('source ab|', 'b'));
  });

  test('has what a letter stands for on its marble, in the colour of the letter, as wide as it needs', () => {
    const shapes = shapesOf(
      paint(readPicture('output xya|'), { title: 'x', inscriptions: { x: 'ab', y: 'false' } }),
    );
    expect(textsOf(shapes, 'letter')).toEqual(['ab', 'false', 'a']);
    expect(ofClass(shapes, 'item').map(({ name }) => name)).toEqual(['circle', 'rect', 'circle']);
    expect(ofClass(drawn('output xya|'), 'letter').map(({ attributes }) => attributes['class'])).toEqual(
      ofClass(shapes, 'letter').map(({ attributes }) => attributes['class']?.replace(' small', '')),
    );
  });

  test.each([
    ['a|', 'stop'],
    ['a#', 'fail'],
    ['a!', 'leave'],
    ['a-', 'arrow'],
  ])('drawn as %s has one end, of class %s', (row, end) => {
    const shapes = drawn(`source ${row}`);
    const ends = ['stop', 'fail', 'leave', 'arrow'].flatMap((name) => ofClass(shapes, name).map(() => name));
    expect(ends).toEqual([end]);
  });

  test('stacks the marbles of a group, first on top, with the end beside them', () => {
    const shapes = drawn('output (ab|)');
    const [a, b] = shapes.filter(({ name }) => name === 'circle');
    expect(number(a, 'cx')).toBe(number(b, 'cx'));
    expect(number(b, 'cy') - number(a, 'cy')).toBeGreaterThanOrEqual(2 * number(a, 'r'));
    const [bar] = ofClass(shapes, 'stop');
    const x = Number(bar?.attributes['d']?.split(' ')[1]);
    expect(x).toBeGreaterThan(number(a, 'cx') + number(a, 'r'));
  });
});

describe('a row', () => {
  const starts = (picture: string): string[] =>
    ofClass(drawn(picture), 'hang').map(({ attributes }) =>
      attributes['d']!.split(' ').slice(1, 3).join(' '),
    );
  const centres = (picture: string): string[] =>
    drawn(picture)
      .filter(({ name }) => name === 'circle')
      .map((shape) => `${shape.attributes['cx']!} ${shape.attributes['cy']!}`);

  test('hangs from its item, from where it waits until it starts', () => {
    const picture = 'source ab|\na      --A|\nb         -B|';
    const [a, b] = centres(picture);
    expect(starts(picture)).toEqual([a, b]);
    const ends = ofClass(drawn(picture), 'hang').map(({ attributes }) => attributes['d']!.split(' ').at(-1));
    expect(ends[1]).toBe(String(3 * 30));
  });

  test('of a further try hangs from the end of the one before', () => {
    const picture = 'source a|\na      -#\na        -A|';
    const [cross] = ofClass(drawn(picture), 'fail');
    const [x, y] = cross!.attributes['d']!.split(' ').slice(1, 3).map(Number);
    expect(starts(picture)).toEqual([centres(picture)[0], `${x! + 6} ${y! + 6}`]);
  });

  test('of a second item with the same letter hangs from that', () => {
    const picture = 'source aa|\na      A|\na       -A|';
    expect(starts(picture)).toEqual(centres(picture).slice(0, 2));
  });

  test('of a batch hangs from each of its items', () => {
    const picture = 'source ab|\nab      --|';
    expect(starts(picture)).toEqual(centres(picture));
  });

  test('of no item hangs from nothing', () => {
    expect(starts('source ab|\nstop   --!\noutput a-|')).toEqual([]);
  });
});

describe('a lane', () => {
  const spans = (shapes: readonly Shape[], name: string): number[][] =>
    ofClass(shapes, name).map((shape) => [number(shape, 'x') / 30, number(shape, 'width') / 30]);

  test('of work is a bar for each slot, as long as it is in use', () => {
    expect(spans(drawn('active 012--1-0'), 'bar')).toEqual([
      [1, 6],
      [2, 3],
    ]);
  });

  test('of much work is an area', () => {
    const shapes = drawn('active 07--a-0');
    expect(ofClass(shapes, 'bar')).toEqual([]);
    expect(textsOf(shapes, 'count')).toEqual(['7', '10']);
  });

  test('of waiting items is an area with its values', () => {
    const shapes = drawn('waiting 0-2-10');
    expect(ofClass(shapes, 'area')).toHaveLength(1);
    expect(textsOf(shapes, 'count')).toEqual(['2', '1']);
    const heights = ofClass(shapes, 'edge')[0]!
      .attributes['d']!.match(/[\d.]+ (?=H)/g)!
      .map(Number);
    expect(heights[0]! - heights[1]!).toBe(2 * (heights[0]! - heights[2]!));
  });

  test('of demand is open and closed, hatched', () => {
    const shapes = drawn('demand 1--0-1');
    expect(spans(shapes, 'open')).toEqual([
      [0, 3],
      [5, 1],
    ]);
    expect(spans(shapes, 'closed')).toEqual([[3, 2]]);
    expect(shapes.filter(({ attributes }) => attributes['fill'] === 'url(#a-title-hatch)')).toHaveLength(1);
    expect(shapes.filter(({ attributes }) => attributes['id'] === 'a-title-hatch')).toHaveLength(1);
  });

  test.each(['retried', 'dropped', 'rejected', 'pulled', 'dead'])(
    'of %s is a mark in each column where it rises',
    (gauge) => {
      const shapes = drawn(`fetch.${gauge} 0-1--35`);
      expect([...ofClass(shapes, 'mark'), ...ofClass(shapes, 'bad')]).toHaveLength(3);
      expect(textsOf(shapes, 'count')).toEqual(['×2', '×2']);
    },
  );

  test('of a gauge without a sign of its own is an area', () => {
    const lane: Picture = {
      rows: [{ kind: 'lane', name: 'size', text: '3', changes: [{ at: 0, value: 3 }] }],
    };
    expect(ofClass(shapesOf(paint(lane, { title: 'x' })), 'area')).toHaveLength(1);
  });
});

describe('time', () => {
  test('is counted in ms, sparsely', () => {
    expect(textsOf(drawn('source a---b---c|'), 'middle')).toEqual(['0', '2', '4', '6', '8']);
    expect(textsOf(drawn(`source ${'-'.repeat(21)}|`), 'middle')).toEqual(['0', '5', '10', '15', '20']);
  });

  test.each([
    ['1s', '1 s', '1,001'],
    ['250ms', '250 ms', '251'],
    ['2m', '2 min', '120,001'],
    ['90s', '90 s', '90,001'],
  ])('that is skipped, %s, is torn out and named', (skip, name, after) => {
    const shapes = drawn(`source a ${skip} b|`);
    expect(ofClass(shapes, 'tear')).toHaveLength(1);
    expect(textsOf(shapes, 'middle')).toContain(name);
    expect(textsOf(shapes, 'middle')).toContain(after);
  });

  test('takes as much room as it is long, but for what is skipped', () => {
    const widthOf = (picture: string): number => {
      const [a, b] = drawn(picture).filter(({ name }) => name === 'circle');
      return number(b, 'cx') - number(a, 'cx');
    };
    expect(widthOf('source a-----b|')).toBe(6 * 30);
    expect(widthOf('source a 1s b|')).toBe(widthOf('source a 9s b|'));
  });
});

describe('a picture', () => {
  const text = '  source  ab|\n  b        -B|\n  active   1-0';

  test('has a title, its text, and its call for those who do not see it', () => {
    const [svg, title, description] = drawn(text, 'One & <two>', 'poolMap(f)');
    expect(svg?.attributes).toMatchObject({
      role: 'img',
      'aria-labelledby': `${title!.attributes['id']} ${description!.attributes['id']}`,
    });
    expect(title).toMatchObject({ name: 'title', text: 'One &amp; &lt;two&gt;' });
    expect(description).toMatchObject({
      name: 'desc',
      text: '\nsource  ab|\nb        -B|\nactive   1-0\npoolMap(f)\n',
    });
  });

  test('describes a row after a skip in its column', () => {
    const picture = 'source  a 1s b|\nb            -B|\nactive       1-0';
    expect(drawn(picture)[2]?.text).toBe(`\n${picture}\n`);
  });

  test('shows its title in as many lines as it needs, and its call as it is', () => {
    const shapes = drawn(text, 'word '.repeat(30).trim(), 'one(\n  two)');
    const lines = textsOf(shapes, 'title');
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.join(' ')).toBe('word '.repeat(30).trim());
    expect(textsOf(shapes, 'code')).toEqual(['one(', '  two)']);
  });

  test('is light or dark as its reader has it, and needs nothing from elsewhere', () => {
    const svg = paint(readPicture(text), { title: 'x' });
    expect(svg).toContain('@media (prefers-color-scheme: dark)');
    expect(svg).not.toMatch(/<script|@import|href|url\((?!#)/);
    expect(svg.match(/https?:[^"]*/g)).toEqual(['http://www.w3.org/2000/svg']);
  });

  test('is the same text each time, an element a line', () => {
    const svg = paint(readPicture(text), { title: 'x' });
    expect(paint(readPicture(text), { title: 'x' })).toBe(svg);
    expect(svg.split('\n').filter((line) => line.lastIndexOf('<') > 0 && !/<\/\w+>$/.test(line))).toEqual([]);
    expect(svg).not.toMatch(/\d\.\d{3}|NaN|undefined/);
  });
});
