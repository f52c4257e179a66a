// How much sluice adds to the app. Wants the builds `production` and `without-sluice`, and the library installed.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** What the operators of an app may cost, min+gzip, rxjs apart. */
const aim = 6_000;
/** What nobody may exceed by accident on the way there. */
const ceiling = 20_800;
/** What sluice may add to the initial bundle: an import of it there, by accident, brings all of it back. */
const initialCeiling = 1_050;

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

/** The scripts of a build, by file name: what they are made of, and what they import. */
function scriptsOf(name) {
  const folder = new URL(`dist/${name}/`, root);
  const { outputs } = JSON.parse(readFileSync(new URL('browser-stats.json', folder), 'utf8'));
  const scripts = new Map();
  for (const [file, output] of Object.entries(outputs).filter(([path]) => path.endsWith('.js'))) {
    const inputs = Object.entries(output.inputs);
    const sum = (all) => all.reduce((bytes, [, { bytesInOutput }]) => bytes + bytesInOutput, 0);
    // The stats count the inputs before the last minifying, where chunks are merged: only their shares are right.
    const bytesOf = (pattern) =>
      (sum(inputs.filter(([path]) => pattern.test(path))) / Math.max(sum(inputs), 1)) * output.bytes;
    scripts.set(file, {
      file,
      page: /([^/]+-page)\.ts$/.exec(output.entryPoint ?? '')?.[1],
      imports: output.imports.filter(({ kind }) => kind === 'import-statement').map(({ path }) => path),
      minified: output.bytes,
      bytes: gzipped(readFileSync(new URL(`browser/${file}`, folder))),
      sluice: bytesOf(/node_modules\/sluice\//),
      rxjs: bytesOf(/node_modules\/rxjs\//),
    });
  }
  const html = readFileSync(new URL('browser/index.csr.html', folder), 'utf8');
  const loaded = [...html.matchAll(/<script [^>]*src="([^"]+)"/g)].map(([, file]) => file);
  if (loaded.length === 0) throw new Error(`${name}: index.csr.html loads no script`);
  return { scripts, initial: withImports(scripts, loaded) };
}

/** These files, and all that comes with them: what they import statically, and so on. */
function withImports(scripts, files) {
  const all = new Set(files); // visits what is added on the way, too
  for (const file of all) {
    if (!scripts.has(file)) throw new Error(`browser-stats.json does not know ${file}`);
    for (const path of scripts.get(file).imports) if (scripts.has(path)) all.add(path);
  }
  return [...all].map((file) => scripts.get(file));
}

const total = (scripts, key) => scripts.reduce((sum, script) => sum + script[key], 0);

const kB = (bytes) => `${(bytes / 1_000).toFixed(2)} kB`.padStart(10);
const say = (bytes, what) => console.log(`${kB(bytes)}  ${what}`);

console.log(`The app uses ${words.join(', ')}.\n`);

const [whole, without] = ['production', 'without-sluice'].map(scriptsOf);

/** Says what these scripts weigh, and the same ones of the build without sluice; returns the difference. */
function compare(those, others, note = '') {
  const more = total(those, 'bytes') - total(others, 'bytes');
  say(total(those, 'bytes'), `as it is: ${those.map(({ file }) => file).join(', ')}`);
  say(total(others, 'bytes'), 'with sluice left out');
  say(more, `more through sluice, with the parts of rxjs that only it uses${note}`);
  console.log('Of that, minified, before gzip');
  say(total(those, 'sluice'), 'sluice');
  say(total(those, 'rxjs') - total(others, 'rxjs'), 'rxjs that only sluice uses');
  return more;
}

console.log('The initial bundle, min+gzip: what index.html loads, and what that imports statically');
const limits = ` (aim: ${kB(aim).trim()}, never above ${kB(initialCeiling).trim()})`;
const inInitial = compare(whole.initial, without.initial, limits);

console.log('\nThe whole app, min+gzip: the initial bundle and all chunks that are loaded later');
const inAll = compare([...whole.scripts.values()], [...without.scripts.values()]);
say(inAll - inInitial, 'of what is more, min+gzip, is in the chunks that are loaded later');

console.log('\nWhere sluice is, min+gzip');
for (const { file, bytes, minified, sluice } of whole.scripts.values()) {
  if (sluice > 0) say(bytes, `${file}: ${Math.round((sluice / minified) * 100)} % of it is sluice`);
}
for (const page of [...whole.scripts.values()].flatMap((script) => script.page ?? [])) {
  const opened = ({ scripts, initial }) => {
    const { file } = [...scripts.values()].find((script) => script.page === page);
    return total(withImports(scripts, [...initial.map((script) => script.file), file]), 'bytes');
  };
  say(
    opened(whole),
    `to open ${page} first; ${kB(opened(whole) - opened(without)).trim()} more through sluice`,
  );
}

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
if (inInitial > initialCeiling) {
  console.error(
    `\nThe initial bundle grows by ${inInitial} bytes through sluice, more than ${initialCeiling}: is it imported there?`,
  );
  process.exitCode = 1;
}
