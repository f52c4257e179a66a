import type { Observable } from 'rxjs';
import { nonEmpty, oneOf, timerMs } from '../../options.ts';
import { pathOf } from './Bytes.ts';
import { LineReader } from './LineReader.ts';
import { lineFormat } from './lines.ts';
import { readingOptions, Records, recordSource, type ReadingOptions } from './records.ts';
import { TailBytes } from './TailBytes.ts';

export interface FromTailOptions extends ReadingOptions {
  /** Where to begin in a file that is there already. @defaultValue 'end' */
  readonly from?: 'start' | 'end';
  /** Milliseconds between two looks at a file that has nothing new; above 0. @defaultValue 250 */
  readonly pollMs?: number;
}

/**
 * Emits the lines that are added to a file, and to the files that take its place: `tail -F`.
 *
 *     fromTail('/var/log/app.ndjson').pipe(poolMap(parse, { concurrency: 4 }))
 *
 * A file that was renamed is read to its end, and looked at once more after `pollMs`, before the new one of its name is
 * read from its beginning. One that became shorter (copied and emptied) is read from its beginning; what was written to it
 * between the last look and the emptying is lost, which nobody can see who follows a file. A file that is not there is
 * waited for. A line without a newline is emitted when it has one, or when its file is left.
 *
 * - **Emits when** a line has come and the stage below has room.
 * - **Waits when** the stage below is full: the file is read no further, one chunk of 64 KiB is held.
 * - **Drops** nothing; with `onBadRecord: 'drop'` what is not UTF-8.
 * - **Completes when** draining begins.
 * - **Errors when** the file cannot be read, a line is longer than `maxLineBytes`, or with a bad record.
 * - **Unsubscribing** closes the file.
 *
 * @throws `InvalidOptionError`, at call time, for an option outside its range.
 */
export function fromTail(path: string | URL, options: FromTailOptions = {}): Observable<string> {
  const { from = 'end', pollMs = 250 } = options;
  const file = pathOf('fromTail', path);
  nonEmpty('fromTail: path', file);
  oneOf('fromTail: from', from, ['start', 'end']);
  timerMs('fromTail: pollMs', pollMs, 1);
  const { maxLineBytes, onBadRecord, name } = readingOptions('fromTail', options);
  return recordSource(name, (run) => {
    const reader = new LineReader(new TailBytes({ path: file, from, pollMs }), { name: file, maxLineBytes });
    return new Records(file, reader, lineFormat, onBadRecord, { give: (line: string) => line }, run);
  });
}
