// Stops with a clear message where the tools would fail with an obscure one. Must itself run on an old Node.
const needed = [22, 19];
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  console.error(
    [
      '',
      `sluice is developed on Node ${needed.join('.')} or newer; this is Node ${process.versions.node} (${process.execPath}).`,
      '',
      '`npm ci` brings a Node 24 of its own into node_modules/.bin, which npm scripts then use. So, one of:',
      '  - installed with --ignore-scripts? That Node was left out: run `npm ci` again without it;',
      '  - started a tool straight from the shell? Use the npm script: `npm test`, `npm run build`, `npm start`;',
      '  - or install a newer Node yourself: https://nodejs.org',
      '',
    ].join('\n'),
  );
  process.exit(1);
}
