// How much sluice adds to the app. Wants the builds `production` and `without-sluice`, and the library installed.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** What the operators of an app may cost, min+gzip, rxjs apart. */
const aim = 6_000;
/** What nobody may exceed by accident on the way there. */
const ceiling = 20_600;

const root = new URL('..', import.meta.url);
const app = new URL('src/app/', root);
const library = new URL('../../operators/index.ts', root);
const gzipped = (code) => gzipSync(code, { level: 9 }).length;

const words = [
  ...new Set(
    readdirSync(app)
      .filter((name) => /(?<!\.spec)\.ts$/.test(name))
      .flatMap(wordsOf),
  ),
].sort();

function wordsOf(name) {
  const text = readFileSync(new URL(name, app), 'utf8');
  const imports = [...text.matchAll(/import \{([^}]*)\} from 'sluice'/g)].map(([, list]) => list);
  return imports
    .flatMap((list) => list.split(',').map((word) => word.trim()))
    .filter((word) => /^\w+$/.test(word));
}

async function bundle(from, resolveDir, wanted = words) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: `export { ${wanted.join(', ')} } from ${JSON.stringify(from)}`, resolveDir },
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    external: ['rxjs'],
  });
  return { code: outputFiles[0].contents, inputs: Object.values(metafile.outputs)[0].inputs };
}

/** The main bundle of a build, and what is in it by package. */
function mainOf(name) {
  const folder = new URL(`dist/${name}/`, root);
  const file = readdirSync(new URL('browser/', folder)).find((file) => /^main-.*\.js$/.test(file));
  const { outputs } = JSON.parse(readFileSync(new URL('browser-stats.json', folder), 'utf8'));
  const { inputs } = Object.entries(outputs).find(([path]) => path.endsWith(file))[1];
  const bytesOf = (pattern) =>
    Object.entries(inputs).reduce(
      (sum, [path, { bytesInOutput }]) => sum + (pattern.test(path) ? bytesInOutput : 0),
      0,
    );
  return {
    bytes: gzipped(readFileSync(new URL(`browser/${file}`, folder))),
    sluice: bytesOf(/node_modules\/sluice\//),
    rxjs: bytesOf(/node_modules\/rxjs\//),
  };
}

const kB = (bytes) => `${(bytes / 1_000).toFixed(2)} kB`.padStart(10);
const say = (bytes, what) => console.log(`${kB(bytes)}  ${what}`);

console.log(`The app uses ${words.join(', ')}.\n`);

console.log('The main bundle, min+gzip');
const [whole, without] = [mainOf('production'), mainOf('without-sluice')];
say(whole.bytes, 'as it is');
say(without.bytes, 'with sluice left out');
say(whole.bytes - without.bytes, 'more, with the parts of rxjs that only sluice uses');
console.log('In it, minified, before gzip');
say(whole.sluice, 'sluice');
say(whole.rxjs - without.rxjs, 'rxjs that only sluice uses');

console.log('\nThese words alone, rxjs apart');
const installed = await bundle('sluice', fileURLToPath(root));
const size = gzipped(installed.code);
say(installed.code.length, 'minified');
say(size, `min+gzip (aim: ${kB(aim).trim()}, never above ${kB(ceiling).trim()})`);

const sizeOf = async (wanted) => gzipped((await bundle('sluice', fileURLToPath(root), wanted)).code);
for (const pair of [
  ['fromPull', 'poolMap'],
  ['fromPull', 'poolMap', 'runFlow'],
]) {
  say(await sizeOf(pair), `${pair.join(', ')} alone`);
}
for (const word of words) {
  say(size - (await sizeOf(words.filter((other) => other !== word))), `less without ${word}`);
}

console.log('\nWhere the bytes are, minified, by file of the library');
const { inputs } = await bundle(fileURLToPath(library), fileURLToPath(root));
const files = Object.entries(inputs)
  .map(([path, { bytesInOutput }]) => ({ path: path.replace(/^(\.\.\/)+/, ''), bytes: bytesInOutput }))
  .filter(({ bytes }) => bytes > 0)
  .sort((a, b) => b.bytes - a.bytes);
for (const { path, bytes } of files.slice(0, 16)) say(bytes, path);
const rest = files.slice(16);
say(
  rest.reduce((sum, { bytes }) => sum + bytes, 0),
  `${rest.length} more`,
);

if (size > ceiling) {
  console.error(`\nsluice has grown: ${size} bytes are more than ${ceiling}.`);
  process.exitCode = 1;
}
