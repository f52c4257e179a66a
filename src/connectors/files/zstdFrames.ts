import { createZstdDecompress, type ZstdDecompress } from 'node:zlib';

/** Bytes given to the decompressor at once: what comes of them is held, which is many times more. */
const sliceBytes = 8_192;

/**
 * Decompresses all frames of zstd data. Node's own stream ends, without a word, where a frame ends in the middle of a
 * chunk, and drops what follows: a second frame (as of files that were appended to, or compressed in parallel), or garbage.
 */
export async function* zstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let frame = new Frame();
  try {
    for await (const chunk of source) {
      for (let rest = chunk; rest.length > 0;) {
        const slice = rest.subarray(0, sliceBytes);
        const used = await frame.write(slice);
        yield* frame.output();
        rest = rest.subarray(used);
        if (frame.ended) frame = new Frame(frame);
      }
    }
    // A further frame was expected only if something of it was there.
    if (!frame.untouched) await frame.end();
    yield* frame.output();
  } finally {
    frame.destroy();
  }
}

class Frame {
  ended = false;
  readonly #stream: ZstdDecompress = createZstdDecompress();
  readonly #further: boolean;
  #output: Buffer[] = [];
  #failure: unknown;
  #settle: () => void = () => undefined;
  #written = false;

  constructor(before?: Frame) {
    this.#further = before !== undefined;
    before?.destroy();
    this.#stream.on('data', (part: Buffer) => this.#output.push(part));
    this.#stream.on('end', () => {
      this.ended = true;
      this.#settle();
    });
    this.#stream.on('error', (error) => {
      this.#failure = error;
      this.#settle();
    });
  }

  /** Follows on one that has ended, and was given nothing. */
  get untouched(): boolean {
    return this.#further && !this.#written;
  }

  /** Answers how many bytes belong to this frame. */
  async write(slice: Uint8Array): Promise<number> {
    this.#written = true;
    const before = this.#stream.bytesWritten;
    await this.#settled((done) => this.#stream.write(slice, done));
    return this.ended ? this.#stream.bytesWritten - before : slice.length;
  }

  /** Fails where the frame is not complete. */
  end(): Promise<void> {
    return this.#settled(() => this.#stream.end());
  }

  output(): Buffer[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  destroy(): void {
    this.#stream.destroy();
  }

  /** A write that the end of the frame cuts short is never called back. */
  async #settled(step: (done: () => void) => void): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#settle = resolve;
      step(resolve);
    });
    if (this.#failure !== undefined) throw this.#failure;
  }
}
