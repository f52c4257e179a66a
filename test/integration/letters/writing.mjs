// Items that all fail, into a file of dead letters; says of each when it is acknowledged. argv: the libraries' files, the
// file of letters, and `early` where an item is to be acknowledged before its letter is written.
import { writeSync } from 'node:fs';

const [, , library, door, path, early] = process.argv;
const { fromPull, poolMap, runFlow } = await import(library);
const { toDeadLetters } = await import(door);

function* forEver() {
  for (let n = 1; ; n++) yield n;
}
const letters = toDeadLetters(path, { encode: (n) => ({ n, text: 'x'.repeat(2_000) }) });
const onFailure =
  early === 'early'
    ? (letter, context) => {
        void letters.store([letter], context).catch(() => undefined);
      }
    : letters;
const work = () => Promise.reject(new Error('no'));
const onSettled = ({ value, failure }) => {
  if (failure === undefined) writeSync(1, `${value}\n`);
};
await runFlow(fromPull(forEver, { onSettled }).pipe(poolMap(work, { concurrency: 16, onFailure })));
