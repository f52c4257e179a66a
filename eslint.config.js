import js from '@eslint/js';
import rxjsX from 'eslint-plugin-rxjs-x';
import globals from 'globals';
import tseslint from 'typescript-eslint';

/*
 * 1. The arrows: who may import whom.
 *
 *     marbles → operators → src → rxjs        test sees everything, nothing sees test
 *
 * `no-restricted-imports` is replaced, not merged, by a later block that matches the same file. So each block below
 * names its whole list, from these parts; the blocks run from the general to the particular.
 */
const ban = (regex, message) => ({ regex, message });

const testCode = ban('(^|/)test/', 'Nothing but tests imports tests.');
const internals = ban('^rxjs/internal', 'RxJS internals change without notice; src/rx is the seam.');
const ownName = ban(
  '^sluice($|/)',
  'Inside the library, import the file; `sluice` would be a second copy of it.',
);
const operators = ban(
  '(^|/)operators(/|$)',
  'Arrows go one way: operators → src. Move what both need into src.',
);
const marbles = ban('(^|/)marbles(/|$)', 'Nothing but tests imports the picture book.');
const cli = ban('(^|/)cli/', 'The command is a program: it imports the library, nothing imports it.');
const node = ban(
  '^node:',
  'The front door runs in browsers. What needs Node lives in src/connectors or src/cli.',
);
const rxjs = ban('^rxjs($|/)', 'queue, pool and retry are arithmetic, and know nothing of RxJS.');

/** Each driver, and the only files that may import it. */
const drivers = [
  {
    packages: '^(undici|eventsource-parser)($|/)',
    files: ['src/connectors/http*.ts', 'src/connectors/http/**'],
  },
  { packages: '^pg($|/|-)', files: ['src/connectors/postgres*.ts', 'src/connectors/postgres/**'] },
  { packages: '^csv-parse($|/)', files: ['src/connectors/files*.ts', 'src/connectors/files/**'] },
  { packages: '^piscina($|/)', files: ['src/connectors/workers*.ts', 'src/connectors/workers/**'] },
  { packages: '^@nats-io/', files: ['src/connectors/jetstream*.ts', 'src/connectors/jetstream/**'] },
  {
    packages: '^@opentelemetry/',
    files: ['src/connectors/opentelemetry*.ts', 'src/connectors/opentelemetry/**'],
  },
  { packages: '^(@sinonjs/fake-timers|fast-check)($|/)', files: ['src/testing/**'] },
  { packages: '^(ora|@marcbachmann/cel-js)($|/)', files: ['src/cli/**'] },
];
const allDriversBut = (own) =>
  drivers
    .filter((driver) => driver !== own)
    .map(({ packages, files }) => ban(packages, `Only ${files.join(', ')} may import this package.`));

const imports = (files, ...patterns) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns }] },
});

const everywhere = [testCode, internals];
const library = [...everywhere, ownName, marbles, cli];

const arrows = [
  imports(['{bench,examples,scripts,marbles}/**', '*.config.*'], ...everywhere),
  imports(['test/**'], internals),
  imports(['operators/**'], ...library, node, ...allDriversBut()),
  imports(['src/**'], ...library, operators, node, ...allDriversBut()),
  imports(['src/{queue,pool,retry}/**'], ...library, operators, node, rxjs, ...allDriversBut()),
  imports(['src/{connectors,dashboard,testing}/**'], ...library, operators, ...allDriversBut()),
  ...drivers.map((driver) => imports(driver.files, ...library, operators, ...allDriversBut(driver))),
  // An operator that needs a driver lives with its connector, and is made of the vocabulary.
  imports(
    ['src/connectors/workers/workerMap.ts'],
    ...library,
    ...allDriversBut(drivers.find(({ packages }) => packages.includes('piscina'))),
  ),
  // The laws of delivery are about sinks at the end of whole flows.
  imports(
    ['src/testing/laws/delivery/**'],
    ...library,
    ...allDriversBut(drivers.find(({ files }) => files.includes('src/testing/**'))),
  ),
  // The command may import everything of the library.
  imports(['src/cli/**'], ...everywhere, ownName, ...allDriversBut(drivers.at(-1))),
];

/*
 * 2. The seams: src/rx alone touches what RxJS protects, src/clock.ts alone reads the time, nobody rolls dice.
 *
 * TypeScript refuses protected members by itself; these selectors catch the casts around it. A field of ours does not
 * bear such a name.
 */
const time = 'Time is read in src/clock.ts alone, so that virtual time works everywhere.';
const protectedMembers = {
  selector:
    'MemberExpression[property.name=/^(destination|isStopped|_next|_error|_complete|_unsubscribe|_subscribe|_trySubscribe)$/]',
  message: "Members that RxJS protects are touched in src/rx alone; our own fields don't bear their names.",
};
const dice = {
  selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
  message: 'Chance is an option: call the `random` that was given (its default may be `Math.random`).',
};
const now = { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: time };

const seams = [
  {
    files: ['operators/**', 'src/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate'].map((name) => ({
          name,
          message: time,
        })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: time },
        { object: 'performance', property: 'now', message: time },
      ],
      'no-restricted-syntax': ['error', protectedMembers, dice, now],
    },
  },
  {
    files: ['src/rx/**'],
    rules: {
      'no-restricted-syntax': ['error', dice, now],
      // What RxJS calls internal is what the seam is for.
      '@typescript-eslint/no-deprecated': 'off',
    },
  },
  {
    files: ['src/clock.ts', 'src/{connectors,cli,dashboard,testing}/**'],
    rules: {
      'no-restricted-globals': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-syntax': ['error', protectedMembers, dice],
    },
  },
];

/*
 * 3. What the two rule sets ask, less what fights this code.
 */
const judgement = {
  files: ['**/*.ts', '**/*.mts'],
  rules: {
    // Interfaces and type aliases both have their place; `_` marks what a signature forces on us.
    '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    '@typescript-eslint/consistent-type-imports': 'error',
    // `${count} items` is what template strings are for.
    '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    '@typescript-eslint/no-invalid-void-type': ['error', { allowAsThisParameter: true }],
    // An options object without options, and the type parameter of a signature that users write out.
    '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
    '@typescript-eslint/no-unnecessary-type-parameters': 'off',

    // Reentrancy: `closed` changes while `next` is on the stack, and the compiler, which narrowed it, cannot know.
    '@typescript-eslint/no-unnecessary-condition': 'off',
    // Ring buffers read slots that they know to be filled, in the hottest loop there is.
    '@typescript-eslint/no-non-null-assertion': 'off',
    // The user's error is passed on as it came, and it may be anything.
    '@typescript-eslint/only-throw-error': 'off',
    '@typescript-eslint/prefer-promise-reject-errors': 'off',
    'rxjs-x/throw-error': 'off',
    // An operator *is* a subscriber that subscribes, and the seam with RxJS extends its Subscriber.
    'rxjs-x/no-nested-subscribe': 'off',
    'rxjs-x/no-subclass': 'off',
    // `index` as the second parameter of a predicate is RxJS's own signature.
    'rxjs-x/no-index': 'off',
  },
};

/** Tests, pictures, examples: sabotage, stubs and late subscriptions are their trade. */
const softer = {
  files: ['{test,marbles,examples,bench}/**/*.ts'],
  rules: {
    '@typescript-eslint/no-empty-function': 'off',
    '@typescript-eslint/no-unsafe-argument': 'off',
    '@typescript-eslint/no-unsafe-assignment': 'off',
    '@typescript-eslint/no-unsafe-call': 'off',
    '@typescript-eslint/no-unsafe-member-access': 'off',
    '@typescript-eslint/no-unsafe-return': 'off',
    '@typescript-eslint/require-await': 'off',
    '@typescript-eslint/unbound-method': 'off',
    'rxjs-x/no-exposed-subjects': 'off',
    'rxjs-x/no-floating-observables': 'off',
    'rxjs-x/no-ignored-default-value': 'off',
    'rxjs-x/no-ignored-error': 'off',
    'rxjs-x/no-ignored-notifier': 'off',
    'rxjs-x/no-ignored-replay-buffer': 'off',
    'rxjs-x/no-sharereplay': 'off',
    'rxjs-x/no-unsafe-subject-next': 'off',
    'rxjs-x/no-unsafe-takeuntil': 'off',
  },
};

export default tseslint.config(
  { ignores: ['**/dist/', '**/coverage/', '**/node_modules/', 'examples/angular/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.mts'],
    extends: [tseslint.configs.strictTypeChecked, rxjsX.configs.strict],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  },
  { files: ['**/*.{js,mjs,cjs}'], languageOptions: { globals: globals.node } },
  judgement,
  softer,
  // Benchmarks have a package.json of their own, and are linted without its installation: no types, no typed rules.
  {
    files: ['bench/**/*.ts'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
    rules: Object.fromEntries(Object.keys(rxjsX.configs.strict.rules).map((rule) => [rule, 'off'])),
  },
  ...arrows,
  ...seams,
);
