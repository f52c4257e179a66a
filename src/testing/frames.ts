/** Lines of a stack that say nothing of who set a timer. */
const OWN =
  /node:|[\\/]node_modules[\\/](?:rxjs|@sinonjs)[\\/]|[\\/]rxjs780?[\\/]|[\\/]src[\\/]testing[\\/]|[\\/](?:VirtualClock|testing)[^\\/]*\.c?js/;

/** Who called, as ` at name (file:line)`: the first line that is neither Node's, RxJS's, nor the player's own. */
export function caller(at: Error): string {
  const lines = (at.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const line = lines.find((candidate) => !OWN.test(candidate) && /:\d+/.test(candidate));
  return line === undefined ? '' : ` ${line.trim()}`;
}
