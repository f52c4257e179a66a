/// <reference types="vite/client" />
import { describe, expect, test } from 'vitest';

const pictures = import.meta.glob<string>('../../marbles/pictures/*.svg', {
  query: '?raw',
  import: 'default',
  eager: true,
});

interface Box {
  readonly text: string;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** What a reader would see wrong: text that is cut off at the edge, runs into other text, or is torn away. */
function faultsOf(source: string): string[] {
  const parsed = new DOMParser().parseFromString(source, 'image/svg+xml');
  const problem = parsed.querySelector('parsererror');
  if (problem) return [`not well formed: ${problem.textContent}`];
  const svg = document.importNode(parsed.documentElement, true);
  document.body.append(svg);
  try {
    const frame = boxOf(svg);
    const texts = [...svg.querySelectorAll('text')].map(boxOf);
    const torn = [...svg.querySelectorAll('.gap')].map(boxOf);
    return [
      ...(frame.right - frame.left > 100 && frame.bottom - frame.top > 50 ? [] : ['no size']),
      ...(texts.length > 0 ? [] : ['no text']),
      ...texts.filter((box) => !inside(box, frame)).map(({ text }) => `cut off: ${text}`),
      ...texts.flatMap((box, i) =>
        texts
          .slice(i + 1)
          .flatMap((other) => (meet(box, other) ? [`${box.text} runs into ${other.text}`] : [])),
      ),
      ...texts.filter((box) => torn.some((gap) => meet(box, gap))).map(({ text }) => `torn away: ${text}`),
    ];
  } finally {
    svg.remove();
  }
}

function boxOf(node: Element): Box {
  const { left, right, top, bottom } = node.getBoundingClientRect();
  return { text: node.textContent, left, right, top, bottom };
}

const inside = (box: Box, frame: Box): boolean =>
  box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom;

/** A line's box is taller than its letters, so two may touch a little. */
const meet = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;

async function loaded(source: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(source)}`;
  await image.decode();
  return image;
}

describe('the pictures in Chromium', () => {
  test('are there', () => {
    expect(Object.keys(pictures).length).toBeGreaterThan(0);
  });

  test.each(Object.entries(pictures))('%s shows all of its text', async (_path, source) => {
    expect(faultsOf(source)).toEqual([]);
    const { naturalWidth, naturalHeight } = await loaded(source);
    expect(naturalWidth).toBeGreaterThan(100);
    expect(naturalHeight).toBeGreaterThan(50);
  });

  const svg = (content: string): string =>
    `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100" viewBox="0 0 200 100">${content}</svg>`;

  test.each([
    ['<text x="20" y="50">all of it</text>', []],
    ['<text x="180" y="50">too far right</text>', ['cut off: too far right']],
    ['<text x="-9" y="50">left</text>', ['cut off: left']],
    ['<text x="20" y="5">above</text>', ['cut off: above']],
    ['<text x="20" y="50">one</text><text x="30" y="50">two</text>', ['one runs into two']],
    ['<text x="20" y="50">one</text><path class="gap" d="M 0 0 h 50 v 99 h -50 Z"/>', ['torn away: one']],
    ['<path/>', ['no text']],
    ['<g>', [expect.stringContaining('not well formed')]],
  ])('would be found out: %s', (content, faults) => {
    expect(faultsOf(svg(content))).toEqual(faults);
  });

  test('would be found out without a size', () => {
    expect(faultsOf(svg('<text x="1" y="50">a</text>').replace('width="200"', 'width="0"'))).toContain(
      'no size',
    );
  });
});
