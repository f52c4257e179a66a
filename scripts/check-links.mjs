// Fails on a link to a file or heading that is not in the package, in any markdown file of it.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export function checkLinks(folder) {
  const pages = globSync('**/*.md', { cwd: folder }).map((page) => join(folder, page));
  if (pages.length === 0) throw new Error('the package has no markdown file');
  let links = 0;
  const dead = pages.flatMap((page) =>
    [...prose(page).matchAll(/\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?[^)]*\)/g)]
      .filter(([, path, heading]) => {
        links++;
        const target = path === '' ? page : join(dirname(page), path);
        if (!existsSync(target)) return true;
        return heading !== undefined && !headings(target).includes(heading);
      })
      .map(([, path, heading]) => `${relative(folder, page)}: ${path}${heading ? `#${heading}` : ''}`),
  );
  if (dead.length > 0) throw new Error(`links that lead nowhere in the package:\n${dead.join('\n')}`);
  console.log(`${links} links in ${pages.length} pages: all lead somewhere`);
}

/** A page without its code. */
function prose(page) {
  return readFileSync(page, 'utf8')
    .replaceAll(/^```[^]*?^```$/gm, '')
    .replaceAll(/`[^`\n]*`/g, '');
}

/** Its headings, as a link names them. */
function headings(page) {
  const text = readFileSync(page, 'utf8').replaceAll(/^```[^]*?^```$/gm, '');
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  );
}
