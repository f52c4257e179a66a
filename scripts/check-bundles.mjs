// What a bundler makes of the package: nothing unused stays, nothing foreign is inside, and how large it is.
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { rollup } from 'rollup';

/** What the words of the first example may cost, min+gzip, rxjs apart; and all words. Nobody may exceed them by accident. */
const ceilings = { first: 23_600, all: 32_600 };
/** What those of the first example are to cost. */
const aim = 6_000;
// The sources of what users import; every other entry is the command, or a chunk that it alone loads.
const libraryDoor = /^(?:operators\/index|src\/connectors\/[^/]+|src\/testing\/index)\.ts$/;
const frontDoorWords =
  '{ fromPull, boundedQueue, poolMap, filterOr, storeTo, runFlow, withRetry, withTimeout, delays }';

export async function checkBundles({ root, consumer, manifest }) {
  listContents(root);

  const installed = join(consumer, 'node_modules/sluice');
  const peers = Object.keys(manifest.peerDependencies);
  for (const [door, { import: target }] of Object.entries(manifest.exports)) {
    if (!target) continue;
    const specifier = door === '.' ? 'sluice' : `sluice/${door.slice(2)}`;
    const trusting = await bundle(consumer, `import '${specifier}'`, { platform: 'node', external: peers });
    requireEmpty(specifier, trusting.code);
    requireEmpty(
      `${specifier} without "sideEffects": false`,
      await leftover(join(installed, target.default)),
    );
  }
  console.log('bare imports: bundle to nothing');

  const everything = "export * from 'sluice'";
  const { inputs } = await bundle(consumer, everything, { platform: 'browser' });
  const foreign = inputs.filter((input) => !/^node_modules\/(sluice|rxjs|tslib)\/|^<stdin>$/.test(input));
  if (foreign.length > 0) throw new Error(`the front door brings in ${foreign.join(', ')}`);
  console.log('sluice: bundles for the browser, with nothing but rxjs');

  const first = `export ${frontDoorWords} from 'sluice'`;
  await measure(`${frontDoorWords} (aim: ${aim})`, consumer, first, ceilings.first);
  await measure('the whole front door', consumer, everything, ceilings.all);
}

/** What esbuild makes of `contents`, as a file of the project at `resolveDir`. */
async function bundle(resolveDir, contents, options) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir },
    absWorkingDir: resolveDir,
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2022',
    // The warning that a bare import was dropped is what we hope for.
    logLevel: 'error',
    ...options,
  });
  return { code: outputFiles[0].text, inputs: Object.keys(metafile.inputs) };
}

/** What is left of a bare import when the bundler must find out by itself that loading the module does nothing. */
async function leftover(path) {
  const entry = 'bare-import';
  const bundled = await rollup({
    input: entry,
    plugins: [
      {
        name: entry,
        resolveId: (id) => (id === entry ? id : null),
        load: (id) => (id === entry ? `import ${JSON.stringify(path)}` : null),
      },
    ],
    external: (id) => !/^[./]/.test(id) && id !== entry,
    treeshake: { moduleSideEffects: (_id, external) => !external },
    // "Generated an empty chunk" is what we hope for.
    onwarn: () => undefined,
  });
  const { output } = await bundled.generate({ format: 'esm' });
  await bundled.close();
  return output[0].code;
}

function requireEmpty(what, code) {
  if (code.trim() !== '') {
    throw new Error(`${what}: a bare import should bundle to nothing, and leaves\n\n${code.slice(0, 2_000)}`);
  }
}

async function measure(what, consumer, contents, ceiling) {
  const { code } = await bundle(consumer, contents, {
    platform: 'browser',
    external: ['rxjs'],
    minify: true,
  });
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`size, min+gzip, rxjs apart: ${size} bytes, never above ${ceiling} - ${what}`);
  if (size > ceiling) throw new Error(`sluice has grown: ${size} bytes are more than ${ceiling} - ${what}`);
}

/** Prints what each built file is made of. Only the command may contain packages. */
function listContents(root) {
  for (const format of ['esm', 'cjs']) {
    const { outputs } = JSON.parse(readFileSync(join(root, `dist/metafile-${format}.json`), 'utf8'));

    for (const [file, { entryPoint, inputs, imports, bytes }] of Object.entries(outputs)) {
      const packages = packagesOf(Object.keys(inputs));
      const externals = new Set(imports.filter(({ external }) => external).map(({ path }) => path));
      const own = Object.keys(inputs).length - Object.keys(inputs).filter(isPackageFile).length;
      const parts = [`${own} of our files`, ...packages];
      console.log(
        `${file}: ${bytes} bytes; ${parts.join(', ')}; imports ${[...externals].join(', ') || 'nothing'}`,
      );

      if (libraryDoor.test(entryPoint ?? '')) requireNoPackages(file, outputs);
      if (entryPoint === 'operators/index.ts') requireBrowserImports(file, outputs);
    }
  }
}

const isPackageFile = (path) => path.includes('node_modules/');

const packagesOf = (paths) => [
  ...new Set(paths.map((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean)),
];

/** The file and the chunks it loads, at once or later. */
function reachable(file, outputs, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const { path, external } of outputs[file].imports) if (!external) reachable(path, outputs, seen);
  return seen;
}

function requireNoPackages(file, outputs) {
  const inputs = [...reachable(file, outputs)].flatMap((path) => Object.keys(outputs[path].inputs));
  const packages = packagesOf(inputs);
  if (packages.length > 0) {
    throw new Error(
      `${file} has ${packages.join(', ')} bundled into it: make it a peer, or keep it to src/cli`,
    );
  }
}

function requireBrowserImports(file, outputs) {
  const imports = [...reachable(file, outputs)].flatMap((path) => outputs[path].imports);
  const ofNode = imports.filter(({ path }) => path.startsWith('node:') || builtinModules.includes(path));
  if (ofNode.length > 0) throw new Error(`${file} imports ${ofNode.map(({ path }) => path).join(', ')}`);
}
