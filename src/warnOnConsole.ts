/** Where nobody else takes a warning. It says whose it is, as the debug log does. */
export function warnOnConsole(message: string): void {
  console.warn(`[sluice] ${message}`);
}
