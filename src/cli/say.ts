/** Tells the user something, on a line of its own on standard error: standard output is for the result. */
export function say(text: string): void {
  process.stderr.write(`sluice: ${text}\n`);
}
