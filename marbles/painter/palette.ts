/** A hue in one theme: `strong` for lines and results, `tint` behind an item's letter. */
interface Hue {
  readonly strong: string;
  readonly tint: string;
}

interface Theme {
  readonly page: string;
  readonly frame: string;
  readonly ink: string;
  readonly muted: string;
  readonly faint: string;
  readonly band: string;
  readonly hatch: string;
  readonly onStrong: string;
  readonly gauge: string;
  readonly gaugeTint: string;
  readonly bad: string;
  readonly hues: readonly Hue[];
}

// After Okabe and Ito: neighbours differ in lightness too, and the letter is always there. `onStrong` on `strong`,
// and `strong` on `tint`, have a contrast of 4.5 or more.
const light: Theme = {
  page: '#ffffff',
  frame: '#d8dee4',
  ink: '#1f2328',
  muted: '#59636e',
  faint: '#e6eaef',
  band: '#f4f6f9',
  hatch: '#c3ccd6',
  onStrong: '#ffffff',
  gauge: '#3f6c99',
  gaugeTint: '#d5e3f1',
  bad: '#c0282d',
  hues: [
    { strong: '#0b62ad', tint: '#e0effc' },
    { strong: '#b0460a', tint: '#fdeadd' },
    { strong: '#07724f', tint: '#dcf4ea' },
    { strong: '#853b9c', tint: '#f5e6f9' },
    { strong: '#7d5a00', tint: '#fbf0cc' },
    { strong: '#b02a5b', tint: '#fde6ee' },
    { strong: '#086b80', tint: '#daf2f6' },
    { strong: '#525c67', tint: '#e9edf1' },
  ],
};

const dark: Theme = {
  page: '#0f141a',
  frame: '#2b333c',
  ink: '#e6edf3',
  muted: '#98a4b0',
  faint: '#222a33',
  band: '#171e26',
  hatch: '#3d4752',
  onStrong: '#0f141a',
  gauge: '#7fb0e0',
  gaugeTint: '#23405c',
  bad: '#ff7b72',
  hues: [
    { strong: '#6cb2f5', tint: '#12304c' },
    { strong: '#f59a63', tint: '#452311' },
    { strong: '#52c99c', tint: '#0f3829' },
    { strong: '#cfa0e6', tint: '#371c42' },
    { strong: '#dcb548', tint: '#3a2e0a' },
    { strong: '#f48fb1', tint: '#451a2a' },
    { strong: '#57c6dc', tint: '#0d353e' },
    { strong: '#aab5c1', tint: '#2a323b' },
  ],
};

/** The hue of a label. A capital is the result of its letter, and has its hue; so `a` has one colour in all pictures. */
export function hueOf(label: string): number {
  const letter = label.toLowerCase();
  const code = letter.charCodeAt(0);
  const first = letter >= 'a' ? 'a'.charCodeAt(0) : '0'.charCodeAt(0);
  const count = light.hues.length;
  return (((code - first) % count) + count) % count;
}

/** Whether a label is a result (a capital), drawn solid, and not an item, drawn as an outline. */
export function isResult(label: string): boolean {
  return label !== label.toLowerCase();
}

const SHAPES: readonly string[] = [
  'text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }',
  '.title { font: 600 15px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }',
  '.small { font-size: 10px; }',
  '.letter { font-weight: 600; text-anchor: middle; }',
  '.end { text-anchor: end; }',
  '.middle { text-anchor: middle; }',
  '.line, .stop, .fail, .leave, .hang, .edge, .tick, .grid, .tear { fill: none; stroke-width: 1.5; }',
  '.stop, .fail { stroke-width: 2.5; stroke-linecap: round; }',
  '.hang { stroke-dasharray: 2 4; stroke-linecap: round; }',
  '.tick, .grid, .tear, .track, .hatch { stroke-width: 1; }',
  '.item { stroke-width: 1.75; }',
];

/** The style sheet of a picture with these labels. Plain values, no variables, which some renderers don't know. */
export function styleFor(labels: readonly string[]): string[] {
  const hues = [...new Set(labels.map(hueOf))].sort((a, b) => a - b);
  return [
    ...SHAPES,
    ...rules(light, hues),
    '@media (prefers-color-scheme: dark) {',
    ...rules(dark, hues).map((rule) => `  ${rule}`),
    '}',
  ];
}

function rules(theme: Theme, hues: readonly number[]): string[] {
  return [
    `.page { fill: ${theme.page}; stroke: ${theme.frame}; }`,
    `.gap { fill: ${theme.page}; }`,
    `.band { fill: ${theme.band}; }`,
    `.title, .stream, .code, .count { fill: ${theme.ink}; }`,
    `.lane, .muted { fill: ${theme.muted}; }`,
    `.line, .stop, .leave, .tick, .tear { stroke: ${theme.muted}; }`,
    `.leave { fill: ${theme.page}; }`,
    `.arrow { fill: ${theme.muted}; }`,
    `.grid, .track { stroke: ${theme.faint}; }`,
    `.fail { stroke: ${theme.bad}; }`,
    `.bar, .mark { fill: ${theme.gauge}; }`,
    `.edge { stroke: ${theme.gauge}; }`,
    `.area, .open { fill: ${theme.gaugeTint}; }`,
    `.closed { fill: ${theme.band}; }`,
    `.hatch { stroke: ${theme.hatch}; }`,
    `.bad { fill: ${theme.bad}; }`,
    ...hues.flatMap((hue) => {
      const { strong, tint } = theme.hues[hue]!;
      return [
        `.item.h${hue} { fill: ${tint}; stroke: ${strong}; }`,
        `.result.h${hue}, .letter.h${hue} { fill: ${strong}; }`,
        `.hang.h${hue} { stroke: ${strong}; }`,
      ];
    }),
    `.letter.on { fill: ${theme.onStrong}; }`,
  ];
}
