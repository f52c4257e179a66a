// Copies a file of numbers through a pool whose results come in another order, until it is done or killed.
import { poolMap, runFlow, storeTo } from '../../../operators/index.ts';
import { fileCheckpoint, fromNdjson, toNdjson } from '../../../src/connectors/files.ts';

const [input = '', output = '', checkpointPath = '', protection = 'on'] = process.argv.slice(2);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const shuffled = poolMap(
  async (n: number) => {
    await pause((n * 7_919) % 4);
    return n;
  },
  { concurrency: 16 },
);
const checkpoint = fileCheckpoint(checkpointPath, { everyMs: 20, onWarning: () => undefined });
const numbers = fromNdjson<number>(input, { checkpoint });
// Without its protection the sink knows nothing of the checkpoint, and adds to whatever is there.
const sink = toNdjson(output, protection === 'on' ? { append: true, checkpoint } : { append: true });
await runFlow(numbers.pipe(shuffled, storeTo(sink, { maxItems: 50, maxWaitMs: 5 })));
process.stdout.write('done\n');
