// Installs the tarball where nothing else of ours is, then imports, requires, type-checks and starts it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function checkConsumer({ root, consumer, tarball, manifest, run }) {
  const write = (name, text) => writeFileSync(join(consumer, name), text);
  const node = (...args) => run(process.execPath, args, consumer);
  const install = (...packages) => {
    run('npm', ['install', '--silent', '--prefer-offline', '--no-audit', '--no-fund', ...packages], consumer);
  };

  mkdirSync(consumer);
  write('package.json', JSON.stringify({ name: 'stranger', private: true }));

  // 1. With rxjs alone: the front door must not want any optional peer.
  install(tarball, `rxjs@${manifest.devDependencies.rxjs}`);
  loadBothWays('sluice', node);

  // No Node types, no skipLibCheck: the front door's declarations stand on rxjs and the platform alone, be it an old one.
  const program = [
    "import * as sluice from 'sluice';",
    "import { withResources, type Resource } from 'sluice';",
    'export const names: string[] = Object.keys(sluice);',
    '// @ts-expect-error what cannot be closed: where a type is not found, it would be `any`',
    'export const resource: Resource = {};',
    'export { withResources };',
    '',
  ].join('\n');
  write('esm.mts', program);
  write('cjs.cts', program);
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    for (const lib of ['es2022', 'es2023']) {
      write(
        'tsconfig.json',
        JSON.stringify({
          compilerOptions: {
            target: 'es2022',
            module,
            moduleResolution,
            lib: [lib, 'dom'],
            types: [],
            strict: true,
            noEmit: true,
            skipLibCheck: false,
          },
          files: moduleResolution === 'bundler' ? ['esm.mts'] : ['esm.mts', 'cjs.cts'],
        }),
      );
      node(join(root, 'node_modules/typescript/bin/tsc'), '-p', '.');
      console.log(`sluice: type-checks with ${moduleResolution} and the library of ${lib}`);
    }
  }

  // 2. With the optional peers: everything else.
  const peers = Object.keys(manifest.peerDependenciesMeta);
  install(...peers.map((name) => `${name}@${manifest.devDependencies[name]}`));
  for (const door of Object.keys(manifest.exports)) {
    if (door !== '.' && door !== './package.json') loadBothWays(`sluice/${door.slice(2)}`, node);
  }
  for (const [name, path] of Object.entries(manifest.bin)) {
    node(join(consumer, 'node_modules/sluice', path), '--help');
    console.log(`${name} --help: starts`);
  }
}

function loadBothWays(specifier, node) {
  const say = (how) =>
    `if (Object.keys(m).length === 0) throw new Error('${specifier} exports nothing');` +
    `console.log('${specifier}: ${how}', Object.keys(m).length, 'names')`;
  node('--input-type=module', '--eval', `import * as m from '${specifier}'; ${say('imports')}`);
  node('--input-type=commonjs', '--eval', `const m = require('${specifier}'); ${say('requires')}`);
}
