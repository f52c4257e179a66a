import { describe, expect, test } from 'vitest';
import { hueOf, styleFor } from './palette.ts';

const letters = Array.from('abcdefgh');
const sheet = styleFor(letters).join('\n');
const [light = '', dark = ''] = sheet.split('@media (prefers-color-scheme: dark)');

/** The colour that a theme gives a class. */
function colour(theme: string, name: string, property: string): string {
  const rules = theme.split('\n').filter((rule) =>
    rule
      .split('{')[0]!
      .split(/[,\s]+/)
      .includes(name),
  );
  const found = rules.map((rule) => new RegExp(`${property}: (#[0-9a-f]{6})`).exec(rule)?.[1]).find(Boolean);
  if (found === undefined) throw new Error(`${name} has no ${property}`);
  return found;
}

/** As WCAG 2 defines it. */
function contrast(one: string, other: string): number {
  const luminance = (hex: string): number => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5]
      .map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

describe.each([
  ['light', light],
  ['dark', dark],
])('in the %s', (_name, theme) => {
  test.each(letters)('the letter %s can be read on its marble, as an item and as a result', (letter) => {
    const hue = `h${hueOf(letter)}`;
    const strong = colour(theme, `.letter.${hue}`, 'fill');
    expect(contrast(strong, colour(theme, `.item.${hue}`, 'fill'))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(strong, colour(theme, '.letter.on', 'fill'))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(strong, colour(theme, '.page', 'fill'))).toBeGreaterThanOrEqual(3);
  });

  test.each(['.title', '.stream', '.lane', '.muted', '.code', '.count'])('%s can be read', (name) => {
    for (const ground of ['.page', '.band', '.open']) {
      if (ground === '.open' && name !== '.count') continue;
      const ratio = contrast(colour(theme, name, 'fill'), colour(theme, ground, 'fill'));
      expect(ratio, `on ${ground}`).toBeGreaterThanOrEqual(4.5);
    }
  });

  test.each(['.line', '.stop', '.fail', '.edge'])('%s can be seen', (name) => {
    const stroke = colour(theme, name, 'stroke');
    expect(contrast(stroke, colour(theme, '.page', 'fill'))).toBeGreaterThanOrEqual(3);
  });
});

test('neighbours in the alphabet have colours of their own', () => {
  expect(new Set(letters.map(hueOf)).size).toBe(letters.length);
});
