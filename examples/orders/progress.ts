import ora from 'ora';

/** What is shown while the example runs. */
export interface Progress extends Disposable {
  /** A line that stays. */
  say(text: string): void;
  /** The state of things, replaced by the next. */
  show(text: string): void;
  done(): void;
}

/** Live on a terminal; plain lines in a pipe or a file, a few a second at most. */
export function startProgress(): Progress {
  // A terminal that does not know its width cannot be drawn on.
  if (process.stdout.isTTY && process.stdout.columns > 0) {
    const spinner = ora({ stream: process.stdout, discardStdin: false }).start('starting');
    return {
      say: (text) => void spinner.stopAndPersist({ symbol: '·', text }).start('starting'),
      show: (text) => void (spinner.text = text),
      done: () => void spinner.succeed(),
      [Symbol.dispose]: () => void spinner.stop(),
    };
  }
  // `npm start | head`: nobody may be reading any more, and the orders are to be stored all the same.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  let saidAt = 0;
  const say = (text: string): void => {
    saidAt = performance.now();
    console.log(text);
  };
  return {
    say,
    show(text) {
      if (performance.now() - saidAt >= 500) say(text);
    },
    done: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
}
