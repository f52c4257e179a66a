import { isUtf8 } from 'node:buffer';
import { FileBrokenError } from '../../errors.ts';
import type { ByteSource } from './Bytes.ts';

/** One line of a file, without its `\n` or `\r\n`. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** Bytes of the file, decompressed, up to the end of this line. */
  readonly end: number;
  /** Why it is of no use whatever it says. */
  readonly fault: string | undefined;
}

/** Where a file was read up to: what a reader goes on after. */
export interface FilePosition {
  /** The last line; 0: none. */
  readonly line: number;
  /** The bytes up to its end. Absent where lines have to be counted again. */
  readonly bytes?: number;
}

export interface LineReaderSettings {
  readonly name: string;
  readonly maxLineBytes: number;
  readonly after?: FilePosition | undefined;
}

const newline = 10;
const byteOrderMark = /* @__PURE__ */ Buffer.from([0xef, 0xbb, 0xbf]);

/** Cuts bytes into lines, a chunk at a time: `take` gives those that are there, `fill` reads on. */
export class LineReader {
  readonly #bytes: ByteSource;
  readonly #name: string;
  readonly #maxLineBytes: number;
  readonly #seek: FilePosition | undefined;
  #lines: Line[] = [];
  #next = 0;
  #number = 0;
  #end = 0;
  /** What has no newline yet. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #begun = false;
  #failure: FileBrokenError | undefined;

  constructor(bytes: ByteSource, { name, maxLineBytes, after }: LineReaderSettings) {
    this.#bytes = bytes;
    this.#name = name;
    this.#maxLineBytes = maxLineBytes;
    this.#seek = after && after.line > 0 ? after : undefined;
  }

  /** The next line that was read already. */
  take(): Line | undefined {
    return this.#lines[this.#next++];
  }

  /** Reads on, once all that was read is taken; false: the end. */
  async fill(): Promise<boolean> {
    this.#lines = [];
    this.#next = 0;
    if (!this.#begun) await this.#begin();
    while (this.#lines.length === 0) {
      if (this.#failure) throw this.#failure;
      const chunk = await this.#bytes.read();
      if (chunk === undefined) return this.#last();
      this.#push(chunk);
    }
    return true;
  }

  close(): void {
    this.#bytes.close();
  }

  /** Goes to where it is to go on; leaves out a byte order mark. */
  async #begin(): Promise<void> {
    this.#begun = true;
    const { line, bytes = 0 } = this.#seek ?? { line: 0 };
    if (bytes > 0 && this.#bytes.seekable) {
      await this.#goTo(line, bytes);
      return;
    }
    const start = (await this.#enough()) ?? Buffer.alloc(0);
    const rest = withoutMark(start);
    this.#end = start.length - rest.length;
    this.#push(rest);
    if (line > 0) await this.#skip(line);
  }

  /** Goes to the end of a line that was read before. */
  async #goTo(line: number, bytes: number): Promise<void> {
    // The byte before is read too: that it is a newline is all that can be seen of whether the file is still the same.
    const first = await this.#bytes.read(bytes - 1);
    const further = first?.length === 1 ? await this.#bytes.read() : undefined;
    const atEnd = first?.length === 1 && further === undefined; // a last line may have no newline
    if (first?.[0] !== newline && !atEnd) {
      throw new FileBrokenError(
        this.#name,
        `no line ends at byte ${bytes}, where line ${line} ended before: it is not the file that was read`,
      );
    }
    this.#number = line;
    this.#end = bytes;
    if (first) this.#push(first.subarray(1));
    if (further) this.#push(further);
  }

  /** The beginning, as much of it as tells whether it is a byte order mark. */
  async #enough(): Promise<Buffer | undefined> {
    let start = await this.#bytes.read();
    while (start && start.length < byteOrderMark.length && startsMark(start)) {
      const more = await this.#bytes.read();
      if (!more) break;
      start = Buffer.concat([start, more]);
    }
    return start;
  }

  /** Reads lines again that were read before. */
  async #skip(line: number): Promise<void> {
    while (this.#number < line) {
      this.#lines = [];
      if (this.#failure) throw this.#failure;
      const chunk = await this.#bytes.read();
      if (chunk) this.#push(chunk);
      else if (!this.#last()) {
        throw new FileBrokenError(
          this.#name,
          `it has ${this.#number} lines, and was read up to line ${line} before`,
        );
      }
    }
    this.#lines = this.#lines.filter(({ number }) => number > line);
  }

  #push(chunk: Buffer): void {
    const end = chunk.lastIndexOf(newline);
    if (end >= 0) {
      this.#parts.push(chunk.subarray(0, end));
      this.#cut(this.#whole(), 1);
    }
    const rest = chunk.subarray(end + 1);
    if (rest.length > 0) this.#parts.push(rest);
    this.#partBytes += rest.length;
    if (this.#partBytes > this.#maxLineBytes) this.#tooLong();
  }

  /** A last line without a newline. */
  #last(): boolean {
    if (this.#partBytes === 0) return false;
    this.#cut(this.#whole(), 0);
    return this.#lines.length > 0;
  }

  #whole(): Buffer {
    const whole = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#partBytes = 0;
    return whole;
  }

  /** All lines are decoded at once, and looked at one by one where that fails. */
  #cut(section: Buffer, terminator: 0 | 1): void {
    const valid = isUtf8(section);
    const all = section.toString(valid ? 'utf8' : 'latin1');
    const oneByteEach = all.length === section.length;
    for (const text of all.split('\n')) {
      const bytes = oneByteEach ? text.length : Buffer.byteLength(text);
      if (bytes > this.#maxLineBytes) {
        this.#tooLong();
        return;
      }
      this.#end += bytes + terminator;
      const [decoded, fault] = valid ? [text, undefined] : decode(text);
      const shown = decoded.endsWith('\r') ? decoded.slice(0, -1) : decoded;
      this.#lines.push({ number: ++this.#number, text: shown, end: this.#end, fault });
    }
  }

  #tooLong(): void {
    const what = `line ${this.#number + 1} is longer than ${this.#maxLineBytes} bytes (maxLineBytes)`;
    this.#failure ??= new FileBrokenError(this.#name, what);
  }
}

function startsMark(start: Buffer): boolean {
  return byteOrderMark.subarray(0, start.length).equals(start);
}

/** The beginning of a file without its byte order mark. */
export function withoutMark(start: Buffer): Buffer {
  const isMarked = start.subarray(0, byteOrderMark.length).equals(byteOrderMark);
  return isMarked ? start.subarray(byteOrderMark.length) : start;
}

/** What is said of such a line. */
export const notUtf8 = 'is not UTF-8; convert it first, say with iconv -f latin1 -t utf-8';

/** A line of a section that is not UTF-8 as a whole, given a byte a character. */
function decode(text: string): [string, string | undefined] {
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? [bytes.toString(), undefined] : [text, notUtf8];
}
