import pg, { type ClientConfig } from 'pg';
import { InvalidOptionError } from '../../errors.ts';

/**
 * The address with the `sslmode` that is meant: pg takes `prefer`, `require` and `verify-ca` for `verify-full`, the safest,
 * and prints a long warning that a later version will not. Said in so many words, it holds in every version.
 */
export function withExplicitTls(address: string): string {
  if (/[?&]uselibpqcompat=true(?=[&#]|$)/.test(address)) return address;
  return address.replace(/([?&]sslmode=)(?:prefer|require|verify-ca)(?=[&#]|$)/g, '$1verify-full');
}

/** Where a client connects to, without user and password. */
export function addressOf(options: ClientConfig): string {
  const { host, port, database } = new pg.Client(options);
  return `${host}:${port}/${database}`;
}

/** @throws `InvalidOptionError` for what pg cannot read; without the address, which may hold a password. */
export function checkAddress(key: string, address: string): void {
  try {
    new pg.Client({ connectionString: address }).removeAllListeners();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const file = code !== undefined && code !== 'ERR_INVALID_URL';
    const why = file
      ? message
      : 'in a user, password or name, the characters % : / ? # @ are written %25 %3A %2F %3F %23 %40';
    throw new InvalidOptionError(`${key} cannot be read: ${why}`);
  }
}
