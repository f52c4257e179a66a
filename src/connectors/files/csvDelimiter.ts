import { InvalidOptionError } from '../../errors.ts';

/** What stands between two fields of a file of this name, where no option says it. */
export function delimiterBy(name: string): string {
  return /\.tsv(\.\w+)?$/i.test(name) ? '\t' : ',';
}

/** @throws `InvalidOptionError` for what nobody could tell from a quote or the end of a line. */
export function checkDelimiter(operator: string, delimiter: string | undefined): void {
  if (delimiter === undefined || (delimiter.length === 1 && !'"\r\n'.includes(delimiter))) return;
  throw new InvalidOptionError(
    `${operator}: delimiter must be one character, and neither " nor a line break`,
  );
}
